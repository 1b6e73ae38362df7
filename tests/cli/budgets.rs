//! Budgets on the command line.

use crate::tool::Tool;

#[test]
fn a_budget_is_set_shown_previewed_and_kept() {
    let tool = Tool::new();
    tool.plant(&[("a", "1234567890"), ("b", "1234567890"), ("c", "1234567890")], ossicle::PutOptions::new);
    assert!(tool.fails(&["budget", "show", "cats"]).contains("the bucket cats has no budget"));
    assert!(tool.fails(&["budget", "show"]).contains("the store has no budget"));
    tool.ok(&["budget", "set", "40", "cats", "--headroom", "0", "--order", "priority,access"]);
    let shown = tool.ok(&["budget", "show", "cats"]);
    assert_eq!(
        shown,
        "budget       40 B\nheadroom     0 B\nstored       30 B\ngoes first   priority,access\n"
    );
    tool.ok(&["pin", "cats/a"]);
    tool.ok(&["keep", "cats/b", "--priority", "200", "--replicated", "no"]);
    assert_eq!(tool.ok(&["keep", "cats/a"]), "pinned       yes\npriority     128\nreplicated   yes\n");
    assert_eq!(tool.ok(&["keep", "cats/b"]), "pinned       no\npriority     200\nreplicated   no\n");
    let preview = tool.ok(&["budget", "preview", "cats"]);
    assert!(preview.contains("cats/c\n") && preview.ends_with("1 version of 10 B may go\n"), "{preview}");
    tool.ok(&["keep", "cats/b", "--replicated", "yes"]);
    tool.ok(&["unpin", "cats/a"]);
    assert!(tool.ok(&["budget", "preview", "cats", "--limit", "1"]).ends_with("3 versions of 30 B may go\n"));

    std::fs::write(tool.path("body"), "12345678901234567890").unwrap();
    tool.ok(&["put", "body", "cats/d"]);
    assert_eq!(tool.ok(&["ls", "cats"]), "b\nc\nd\n");
    tool.ok(&["pin", "cats/d"]);
    std::fs::write(tool.path("long"), "123456789012345678901").unwrap();
    assert!(tool.fails(&["put", "long", "cats/e"]).contains("budget"));
    tool.ok(&["budget", "clear", "cats"]);
    tool.ok(&["put", "long", "cats/e"]);

    tool.ok(&["budget", "set", "1K"]);
    assert!(tool.ok(&["budget", "show"]).starts_with("budget       1.0 KiB\n"));
    assert!(tool.ok(&["budget", "preview"]).contains("cats/c"));
    tool.ok(&["budget", "clear"]);
    assert!(tool.fails(&["budget", "show"]).contains("the store has no budget"));
    for wrong in [
        &["budget", "set", "much"][..],
        &["budget", "set", "1K", "--order", "size"],
        &["keep", "cats/b", "--priority", "256"],
        &["keep", "cats/b", "--replicated", "perhaps"],
    ] {
        assert_eq!(tool.run(wrong).code, Some(2), "{wrong:?}");
    }
    assert!(tool.fails(&["budget", "set", "1", "--headroom", "2"]).contains("headroom"));
}
