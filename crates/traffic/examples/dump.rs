use traffic::policy::*; use traffic::tables::*;
fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let p = read::read("x", &text, &|p| std::fs::read_to_string(p)).unwrap().remove(0);
    let t = Tables::build(&p, &Surroundings{generation:1,pass_verdict:-1,trace:false,link_header:14,coarse_clock:true,ring:true}).unwrap();
    std::fs::write("/tmp/t-traffic/x/config.bin", &t.config).unwrap();
    println!("{} {}", t.blob.len(), t.counter_rows);
}
