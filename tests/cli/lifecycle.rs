//! Lifecycle rules on the command line.

use std::fs;

use crate::tool::Tool;

const RULES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">
  <Rule>
    <ID>old &amp; grey</ID>
    <Prefix>logs/</Prefix>
    <Status>Enabled</Status>
    <Expiration><CreatedBeforeDate>2100-01-01T00:00:00.000Z</CreatedBeforeDate></Expiration>
  </Rule>
  <Rule>
    <Prefix>photos/</Prefix>
    <Status>Enabled</Status>
    <Transition><Days>30</Days><StorageClass>IA</StorageClass></Transition>
    <Transition><Days>60</Days><StorageClass>Archive</StorageClass></Transition>
  </Rule>
</LifecycleConfiguration>
"#;

#[test]
fn rules_are_set_shown_previewed_and_carried_out() {
    let tool = Tool::new();
    tool.plant(&[("logs/a", "1"), ("photos/b", "2")], ossicle::PutOptions::new);
    assert!(tool.fails(&["lifecycle", "show", "cats"]).contains("no lifecycle rules"));
    assert!(tool.ok(&["lifecycle", "report", "cats"]).contains("no run"));
    fs::write(tool.path("rules.xml"), RULES).unwrap();
    tool.ok(&["lifecycle", "set", "cats", "rules.xml"]);
    let shown = tool.ok(&["lifecycle", "show", "cats"]);
    assert!(
        shown.contains("<ID>old &amp; grey</ID>") && shown.contains("<StorageClass>Archive</StorageClass>"),
        "{shown}"
    );
    assert!(shown.contains("<CreatedBeforeDate>2100-01-01T00:00:00.000Z</CreatedBeforeDate>"), "{shown}");
    // What is shown can be set again.
    fs::write(tool.path("again.xml"), &shown).unwrap();
    tool.ok(&["lifecycle", "set", "cats", "again.xml"]);
    assert_eq!(tool.ok(&["lifecycle", "show", "cats"]), shown);

    let preview = tool.ok(&["lifecycle", "preview", "cats"]);
    assert_eq!(preview, "expire              old & grey  logs/a\n1 thing would be changed\n");
    let then = tool.ok(&["lifecycle", "preview", "cats", "--at", "2099-01-01"]);
    assert!(
        then.contains("to Archive")
            && then.contains("photos/b")
            && then.ends_with("2 things would be changed\n"),
        "{then}"
    );
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "logs/a\nphotos/b\n");
    let ran = tool.ok(&["lifecycle", "run", "cats"]);
    assert!(ran.contains("expired      1\n"), "{ran}");
    assert_eq!(tool.ok(&["ls", "-r", "cats"]), "photos/b\n");
    assert!(tool.ok(&["lifecycle", "report", "cats"]).contains("expired      1\n"));
    tool.ok(&["lifecycle", "clear", "cats"]);
    tool.fails(&["lifecycle", "show", "cats"]);
}

#[test]
fn rules_that_are_wrong_are_refused_with_a_sentence() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    let set = |text: &str| {
        fs::write(tool.path("rules.xml"), text).unwrap();
        tool.fails(&["lifecycle", "set", "cats", "rules.xml"])
    };
    assert!(set("nonsense").contains("XML"));
    assert!(set(&RULES.replace("<Days>60</Days>", "<Days>20</Days>")).contains("do not fit together"));
    let overlapping = RULES.replace("<Prefix>photos/</Prefix>", "<Prefix>logs/x/</Prefix>").replace(
        "<Transition><Days>30</Days><StorageClass>IA</StorageClass></Transition>",
        "<Expiration><Days>90</Days></Expiration>",
    );
    assert!(set(&overlapping).contains("Overlap for same action type Expiration"));
    tool.ok(&["lifecycle", "set", "cats", "rules.xml", "--allow-overlap"]);
    assert!(tool.fails(&["lifecycle", "set", "cats", "missing.xml"]).contains("missing.xml"));
    assert!(tool.fails(&["lifecycle", "set", "dogs", "rules.xml"]).contains("dogs"));
}

#[test]
fn the_access_monitor_is_switched() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    assert_eq!(tool.ok(&["lifecycle", "monitor", "cats"]), "disabled\n");
    tool.ok(&["lifecycle", "monitor", "cats", "enabled"]);
    assert_eq!(tool.ok(&["lifecycle", "monitor", "cats"]), "enabled\n");
    let rules = RULES.replace("<Days>30</Days>", "<Days>30</Days><IsAccessTime>true</IsAccessTime>");
    fs::write(tool.path("rules.xml"), rules).unwrap();
    tool.ok(&["lifecycle", "set", "cats", "rules.xml"]);
    assert!(tool.ok(&["lifecycle", "show", "cats"]).contains("<AtimeBase>"));
    assert!(tool.fails(&["lifecycle", "monitor", "cats", "disabled"]).contains("last access"));
    assert_eq!(tool.run(&["lifecycle", "monitor", "cats", "perhaps"]).code, Some(2));
}

/// They were taken for the third of March.
#[test]
fn dates_that_are_none_are_refused() {
    let tool = Tool::new();
    tool.ok(&["mb", "cats"]);
    for date in ["2026-02-31", "2026-02-29", "2026-04-31"] {
        fs::write(tool.path("rules.xml"), RULES.replace("2100-01-01", date)).unwrap();
        assert!(tool.fails(&["lifecycle", "set", "cats", "rules.xml"]).contains("is no date"), "{date}");
        assert!(tool.fails(&["lifecycle", "show", "cats"]).contains("no lifecycle rules"));
        for asking in
            [vec!["ls", "cats", "--as-of", date], vec!["lifecycle", "preview", "cats", "--at", date]]
        {
            let told = tool.run(&asking);
            assert!(told.code != Some(0) && told.err.contains("there is no day"), "{told:?}");
        }
    }
    fs::write(tool.path("rules.xml"), RULES.replace("2100-01-01", "2096-02-29")).unwrap();
    tool.ok(&["lifecycle", "set", "cats", "rules.xml"]);
}
