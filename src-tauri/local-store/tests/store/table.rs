//! The tables of the README name tests; here it is seen that these are there.

use std::path::Path;

/// Whether a file has a test, or a property, of that name.
fn has(file: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let function = format!("fn {name}(");
    let mut before = text.lines().take_while(|line| !line.contains(&function)).collect::<Vec<_>>();
    text.contains(&function) && before.pop().is_some_and(|line| line.contains("test"))
}

#[test]
fn each_row_has_its_test() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(store.join("README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with('|'));
    let code = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let named = code.filter_map(|code| Some((code, code.rsplit_once("::")?)));
    let mut count = 0;
    for (code, (place, name)) in named.filter(|(code, _)| !code.contains("Running::")) {
        let (folder, module) = place.split_once(' ').unwrap_or(("", place));
        let module = module.replace("::", "/");
        let folder = match folder {
            "" => store.join("tests/store"),
            "src" => store.join("src"),
            "cli" => store.join("../../tests/cli"),
            other => panic!("{other} is no place of tests"),
        };
        let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
        assert!(files.iter().any(|file| has(&folder.join(file), name)), "{code} isn't there");
        count += 1;
    }
    assert!(count > 150, "{count}");
}
