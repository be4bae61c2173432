//! The HTML report in a real browser: headless Chromium opens it, chooses headings and a file as a reader would, and takes
//! pictures in light and dark. Skips, with a reason, without Chromium or clang. HAWKBELL_SCREENSHOTS names a directory
//! where the pictures stay.

#![allow(clippy::print_stdout)] // a test says why it skips

mod support;

use coverage::profile::Counters;
use coverage::report::{Builder, html};
use coverage::sidecar::Sidecar;
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
    let seen = look.dom("visit.html");
    for wanted in [
        "sorted by lines: ascending",
        "sorted again: descending",
        "order turned around: true",
        "headings reached by keyboard: 5",
        "opened: constructs.bpf.c",
        "lines with counts: true",
        "marked: true",
        "outside references: 0",
    ] {
        assert!(seen.contains(wanted), "{wanted}\n{seen}");
    }
    for (name, page, scheme) in
        [("index-light", "index.html", 1), ("index-dark", "index.html", 0), ("file-light", "", 1), ("file-dark", "", 0)]
    {
        let page = if page.is_empty() { file_page(home.path()) } else { page.into() };
        let picture = look.picture(name, &page, scheme);
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
    for (source, flags) in
        [("constructs.bpf.c", vec![]), ("golden/golden.bpf.c", vec![format!("-I{}", data("golden/bpf").display())])]
    {
        let object = home.join("object.covobj");
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["-fprofile-update=atomic"]).collect();
        compile(clang, &data(source), &object, &flags);
        let sidecar = Sidecar::parse(&fs::read(&object).expect("an object")).expect("a sidecar");
        let counters = (0..sidecar.counter_bytes / 8).map(|i| if i % 3 == 1 { 0 } else { 1_234 * (i as u64 + 1) });
        let counters =
            Counters { build: sidecar.build, counters: counters.collect(), bitmaps: Vec::new(), instances: 1 };
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
    fn dom(&self, page: &str) -> String {
        let output =
            self.command(&["--allow-file-access-from-files", "--virtual-time-budget=8000", "--dump-dom"], page);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn picture(&self, name: &str, page: &str, scheme: u8) -> PathBuf {
        let path = self.home.join(name).with_extension("png");
        let (shot, scheme) =
            (format!("--screenshot={}", path.display()), format!("--blink-settings=preferredColorScheme={scheme}"));
        self.command(&["--hide-scrollbars", "--window-size=1280,1000", &shot, &scheme], page);
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

/// Opens the report in a frame and does what a reader does; what it saw becomes text.
const VISIT: &str = r##"<!doctype html><pre id="seen"></pre><iframe id="report" src="index.html"></iframe><script>
const say = (text) => { document.getElementById("seen").textContent += text + "\n"; };
const frame = document.getElementById("report");
const names = (page) => [...page.querySelectorAll("#files tbody th b")].map((b) => b.textContent).join();
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
    [...page.querySelectorAll("#files tbody a")].find((a) => a.textContent.includes("constructs.bpf.c")).click();
  } else {
    say("opened: " + page.querySelector("h1").textContent.split("/").pop());
    say("lines with counts: " + (page.querySelectorAll("tr.hit .c span").length > 3));
    say("marked: " + (page.querySelectorAll("mark, tr.miss").length > 0));
    const outside = [...page.querySelectorAll("[src], link[href]")].filter((e) => /^(https?:)?\/\//.test(e.getAttribute("src") || e.getAttribute("href")));
    say("outside references: " + outside.length);
  }
});
</script>"##;
