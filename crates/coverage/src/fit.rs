//! Which function costs the verifier most: a refused program's log and the mapping come in, a function's name goes out. Linux
//! 6.7 and later name file and line in the log (`; statement @ file.c:12`); older logs give no answer.

use crate::count::main_file;
use crate::sidecar::Sidecar;
use std::collections::HashMap;

/// The function whose lines the log passes most often, as its source names it.
pub fn hottest_function(sidecar: &Sidecar, log: &str) -> Option<String> {
    let mut passes: HashMap<(&str, u32), usize> = HashMap::new();
    for place in log.lines().filter_map(place) {
        *passes.entry(place).or_default() += 1;
    }
    let of = |index: &usize| {
        let map = &sidecar.maps[*index];
        let main = main_file(map);
        let path = map.files.get(main as usize).map_or("", |p| p);
        let here = || map.regions.iter().filter(|r| r.file == main);
        let (first, last) = (here().map(|r| r.start.line).min(), here().map(|r| r.end.line).max());
        let lines = first.unwrap_or(1)..=last.unwrap_or(0);
        passes
            .iter()
            .filter(|((file, line), _)| path.ends_with(file) && lines.contains(line))
            .map(|(_, n)| n)
            .sum::<usize>()
    };
    let hottest = (0..sidecar.maps.len()).max_by_key(of).filter(|index| of(index) > 0)?;
    let name = sidecar.name(sidecar.maps[hottest].name_ref)?;
    Some(name.rsplit([':', ';']).next().unwrap_or(name).to_owned())
}

fn place(line: &str) -> Option<(&str, u32)> {
    let (_, place) = line.strip_prefix("; ")?.rsplit_once(" @ ")?;
    let (file, line) = place.rsplit_once(':')?;
    Some((file, line.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn places_are_read_from_statements_only() {
        assert_eq!(super::place("; if (a @ b) @ net/x.bpf.c:66"), Some(("net/x.bpf.c", 66)));
        assert_eq!(super::place("12: (bf) r1 = r7"), None);
    }
}
