//! The HTML report in a real browser: headless Chromium opens it, chooses headings and a file as a reader would, and takes
//! pictures in light and dark. Skips, with a reason, without Chromium or clang. HAWKBELL_SCREENSHOTS names a directory
//! where the pictures stay.

#![allow(clippy::print_stdout)] // a test says why it skips

mod support;

use coverage::profile::Counters;
use coverage::report::{Builder, html};
use coverage::sidecar::{Exclusion, Sidecar, with_exclusions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{CLANGS, compile, data, runs};

#[test]
fn a_reader_sorts_opens_a_file_and_sees_counts() {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|b| runs(b));
    let (Some(browser), Some(clang)) = (browser, CLANGS.iter().rev().find(|c| runs(c))) else {
        println!("skipped: needs Chromium and clang");
        return;
    };
    let home = tempfile::tempdir().expect("a scratch directory");
    write_report(clang, home.path());
    let look = Look { browser, home: home.path() };
    for scheme in [LIGHT, DARK] {
        let seen = look.dom("visit.html", scheme);
        for wanted in [
            "sorted by lines: ascending",
            "sorted again: descending",
            "order turned around: true",
            "headings reached by keyboard: 6",
            "objects: 2",
            "hard to read on the index: none",
            "opened: constructs.bpf.c",
            "lines with counts: true",
            "marked: true",
            "conditions of macros: constructs.h:3",
            "not measured: excluded for this test",
            "first line that did not run leads to: miss",
            "hard to read on a page: none",
            "outside references: 0",
        ] {
            let seen = seen.split("<iframe").next().unwrap_or_default();
            assert!(seen.contains(wanted), "{wanted}\n{seen}");
        }
    }
    let pictures = ["index", "file"].into_iter().flat_map(|p| [(p, LIGHT), (p, DARK)]);
    for ((page, scheme), width) in pictures.flat_map(|p| [(p, 1280), (p, 400)]) {
        let name = format!("{page}-{}-{width}", if scheme == LIGHT { "light" } else { "dark" });
        let page = if page == "file" { file_page(home.path()) } else { "index.html".into() };
        let picture = look.picture(&name, &page, scheme, width);
        let bytes = fs::read(&picture).expect("a picture");
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 8_000, "{name}: {} bytes", bytes.len());
        if let Some(keep) = std::env::var_os("HAWKBELL_SCREENSHOTS") {
            fs::copy(&picture, Path::new(&keep).join(format!("{name}.png"))).expect("keep the picture");
        }
    }
}

/// A report of two sources with counts of every kind, and the page that visits it.
fn write_report(clang: &str, home: &Path) {
    let mut builder = Builder::default();
    let list = home.join("left-out");
    fs::write(&list, "[clang]\ndefault:allow\nfunction:second=skip\n").expect("write");
    let list = format!("-fprofile-list={}", list.display());
    for (source, flags) in [
        ("constructs.bpf.c", vec![list, "-fcoverage-mcdc".into()]),
        ("golden/golden.bpf.c", vec![format!("-I{}", data("golden/bpf").display())]),
    ] {
        let object = home.join("object.covobj");
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["-mllvm", "-disable-licm-promotion"]).collect();
        compile(clang, &data(source), &object, &flags);
        let exclusion = Exclusion { function: "second".into(), reason: "excluded for this test".into() };
        let bytes = with_exclusions(fs::read(&object).expect("an object"), &[exclusion]);
        let sidecar = Sidecar::parse(&bytes).expect("a sidecar");
        let counters = (0..sidecar.counter_bytes / 8).map(|i| if i % 3 == 1 { 0 } else { 1_234 * (i as u64 + 1) });
        let counters = Counters {
            build: sidecar.build,
            counters: counters.collect(),
            bitmaps: vec![0x35; sidecar.bitmap_bytes],
            instances: 1,
        };
        builder.add(&sidecar, &counters).expect("counters");
    }
    let source = |path: &str| fs::read_to_string(path).ok();
    for page in html::render(&builder.finish(), "Visited", &source) {
        fs::write(home.join(page.name), page.content).expect("write a page");
    }
    fs::write(home.join("visit.html"), VISIT).expect("write the visit");
}

fn file_page(home: &Path) -> String {
    let pages = fs::read_dir(home).expect("the report").flatten();
    let names = pages.map(|e| e.file_name().to_string_lossy().into_owned());
    names.into_iter().find(|n| n.contains("constructs-bpf-c")).expect("a page")
}

struct Look<'a> {
    browser: &'a str,
    home: &'a Path,
}

impl Look<'_> {
    /// The document after its scripts ran.
    fn dom(&self, page: &str, scheme: &str) -> String {
        let output =
            self.command(&["--allow-file-access-from-files", "--virtual-time-budget=8000", "--dump-dom", scheme], page);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The page in a frame of that width: a window of a headless browser cannot be as narrow as a telephone.
    fn picture(&self, name: &str, page: &str, scheme: &str, width: u32) -> PathBuf {
        let path = self.home.join(name).with_extension("png");
        let frame = format!(
            "<!doctype html><style>body{{margin:0}}iframe{{border:0}}</style><iframe src=\"{page}\" width=\"{width}\" height=\"1300\"></iframe>"
        );
        fs::write(self.home.join("frame.html"), frame).expect("write a page");
        let (shot, window) =
            (format!("--screenshot={}", path.display()), format!("--window-size={},1300", width.max(500)));
        self.command(&["--hide-scrollbars", &shot, &window, scheme], "frame.html");
        path
    }

    fn command(&self, options: &[&str], page: &str) -> std::process::Output {
        Command::new(self.browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(options)
            .arg(format!("file://{}", self.home.join(page).display()))
            .env("HOME", self.home)
            .output()
            .expect("run the browser")
    }
}

const LIGHT: &str = "--blink-settings=preferredColorScheme=1";
const DARK: &str = "--blink-settings=preferredColorScheme=0";

/// Opens the report in a frame and does what a reader does; what it saw becomes text. Text is hard to read when it stands out
/// from what is behind it by less than 4.5 to 1 (WCAG 2, success criterion 1.4.3).
const VISIT: &str = r##"<!doctype html><pre id="seen"></pre><iframe id="report" src="index.html"></iframe><script>
const say = (text) => { document.getElementById("seen").textContent += text + "\n"; };
const frame = document.getElementById("report");
const names = (page) => [...page.querySelectorAll("#files tbody th b")].map((b) => b.textContent).join();
const rgb = (text) => text.match(/[\d.]+/g).map(Number);
const luminance = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgb(frame.contentWindow.getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const hardToRead = (page) => {
  const bad = new Set();
  for (const element of page.querySelectorAll("body *")) {
    if (![...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const colour = rgb(frame.contentWindow.getComputedStyle(element).color);
    const [high, low] = [luminance(colour), luminance(behind(element))].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) < 4.5) bad.add(element.tagName + "." + element.className + " " + colour + " on " + behind(element));
  }
  return [...bad].join("; ") || "none";
};
let step = 0;
frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  if (step++ === 0) {
    const headings = [...page.querySelectorAll("#files thead button")];
    say("headings reached by keyboard: " + headings.filter((b) => b.tabIndex === 0).length);
    headings[2].click();
    const first = names(page);
    say("sorted by lines: " + headings[2].parentElement.getAttribute("aria-sort"));
    headings[2].click();
    say("sorted again: " + headings[2].parentElement.getAttribute("aria-sort"));
    say("order turned around: " + (first.split(",").reverse().join() === names(page)));
    say("objects: " + page.querySelectorAll("#objects tbody tr").length);
    say("hard to read on the index: " + hardToRead(page));
    [...page.querySelectorAll("#files tbody a")].find((a) => a.textContent.includes("constructs.bpf.c")).click();
  } else {
    say("opened: " + page.querySelector("h1").textContent.split("/").pop());
    say("lines with counts: " + (page.querySelectorAll("tr.hit .c span").length > 3));
    say("conditions of macros: " + page.querySelector(".branch a").textContent);
    say("marked: " + (page.querySelectorAll("mark, tr.miss").length > 0));
    say(page.querySelector("tr.unmeasured .branch").textContent);
    const miss = page.querySelector(".missed a").getAttribute("href");
    say("first line that did not run leads to: " + page.querySelector(miss).className);
    say("hard to read on a page: " + hardToRead(page));
    const outside = [...page.querySelectorAll("[src], link[href]")].filter((e) => /^(https?:)?\/\//.test(e.getAttribute("src") || e.getAttribute("href")));
    say("outside references: " + outside.length);
  }
});
</script>"##;
