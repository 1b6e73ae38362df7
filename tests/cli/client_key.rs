//! Bodies that the tool encrypts and decrypts itself.

use std::fs;

use crate::tool::{Tool, noise};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client_encryption");

#[test]
fn a_body_is_encrypted_on_its_way_in_and_decrypted_on_its_way_out() {
    let tool = Tool::new();
    let key = |name: &str| format!("{KEYS}/{name}");
    let (private, public, other) = (key("rsa.pem"), key("rsa.public.pem"), key("other.pem"));
    let body = noise(300_000);
    fs::write(tool.path("in"), &body).unwrap();
    tool.ok(&["mb", "cats"]);
    tool.ok(&["put", "--client-key", &public, "in", "cats/tom"]);
    tool.ok(&["get", "cats/tom", "raw"]);
    assert!(fs::read(tool.path("raw")).unwrap() != body);
    tool.ok(&["get", "--client-key", &private, "cats/tom", "out"]);
    assert!(fs::read(tool.path("out")).unwrap() == body);

    fs::write(tool.path("text"), "dear ann").unwrap();
    tool.ok(&["put", "--client-key", &public, "text", "cats/letter"]);
    assert_eq!(tool.ok(&["cat", "--client-key", &private, "--range", "5-", "cats/letter"]), "ann");
    assert!(tool.fails(&["cat", "--client-key", &other, "cats/letter"]).contains("master key"));
    assert!(tool.fails(&["cat", "--client-key", &public, "cats/letter"]).contains("public half"));
    assert!(tool.fails(&["cat", "--client-key", "nothing.pem", "cats/letter"]).contains("nothing.pem"));
    assert!(tool.fails(&["cat", "--client-key", "text", "cats/letter"]).contains("no PEM"));
    tool.ok(&["put", "text", "cats/plain"]);
    assert!(tool.fails(&["cat", "--client-key", &private, "cats/plain"]).contains("not encrypted"));
    assert_eq!(tool.ok(&["cat", "cats/plain"]), "dear ann");
}
