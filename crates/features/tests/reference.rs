//! The committed page of capabilities is what the tables say. `HAWKBELL_BLESS=1` writes it anew.

use std::path::Path;

#[test]
fn the_page_of_capabilities_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/capabilities.md");
    let page = features::reference::page();
    if std::env::var_os("HAWKBELL_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/reference/capabilities.md is stale: run HAWKBELL_BLESS=1 cargo test -p features");
}
