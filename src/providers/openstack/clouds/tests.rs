use super::*;
use crate::planner::model::ErrorClass;
use secrecy::ExposeSecret;

const LAX: EndpointRules = EndpointRules { allow_insecure: true };

fn entry(body: &str) -> Result<Cloud, CloudError> {
    let text = format!(
        "clouds:\n  demo:\n{}",
        body.lines().map(|l| format!("    {l}\n")).collect::<String>()
    );
    read(text.as_bytes(), "demo", None, None, LAX)
}

#[test]
fn reads_a_password_and_its_domains() {
    let cloud = entry(
        "auth:\n  auth_url: http://127.0.0.1:15000\n  username: demo\n  password: 012345\n  project_name: demo\n  \
         user_domain_name: Users\n  project_domain_id: default\nregion_name: RegionOne\nidentity_api_version: 3",
    )
    .unwrap();
    assert_eq!(cloud.auth_url, "http://127.0.0.1:15000/v3");
    assert_eq!(
        (cloud.region.as_deref(), cloud.interface.as_str()),
        (Some("RegionOne"), "public")
    );
    let Identity::Password {
        user,
        password,
        project,
    } = cloud.identity
    else {
        panic!()
    };
    assert_eq!(
        user,
        Named::Name {
            name: "demo".into(),
            domain: Domain::Name("Users".into())
        }
    );
    assert_eq!(
        project,
        Named::Name {
            name: "demo".into(),
            domain: Domain::Id("default".into())
        }
    );
    assert_eq!(password.expose_secret(), "012345");
}

#[test]
fn reads_application_credentials_and_tokens() {
    let cloud = entry(
        "auth_type: v3applicationcredential\nauth:\n  auth_url: http://h/identity/v3/\n  \
         application_credential_id: abc\n  application_credential_secret: s",
    )
    .unwrap();
    assert_eq!(cloud.auth_url, "http://h/identity/v3");
    assert!(matches!(
        cloud.identity,
        Identity::Application {
            credential: Named::Id(_),
            ..
        }
    ));
    let cloud = entry(
        "auth_type: v3applicationcredential\nauth: {auth_url: 'http://h', application_credential_name: n, \
         application_credential_secret: s, user_id: u}",
    )
    .unwrap();
    assert!(matches!(
        cloud.identity,
        Identity::Application {
            credential: Named::OfUser { .. },
            ..
        }
    ));
    let cloud = entry(
        "auth_type: v3token\ninterface: internalURL\nauth: {auth_url: 'http://h', token: t, project_id: p}",
    )
    .unwrap();
    assert!(matches!(cloud.identity, Identity::Token { project: Some(_), .. }));
    assert_eq!(cloud.interface, "internal");
}

#[test]
fn the_caller_overrules_region_and_interface() {
    let text = b"clouds: {demo: {region_name: A, interface: public, auth: {auth_url: 'http://h', username: u, password: p, project_id: x}}}";
    let cloud = read(text, "demo", Some("B"), Some("Internal"), LAX).unwrap();
    assert_eq!(
        (cloud.region.as_deref(), cloud.interface.as_str()),
        (Some("B"), "internal")
    );
}

#[test]
fn what_cannot_work_is_refused_with_words_and_without_secrets() {
    let good = "auth: {auth_url: 'http://h', username: u, password: hunter2hunter2, project_id: x}";
    assert!(entry(good).is_ok());
    for (body, words) in [
        (format!("verify: false\n{good}"), "caSecretRef"),
        (format!("insecure: true\n{good}"), "caSecretRef"),
        (format!("auth_type: hunter2hunter2\n{good}"), "auth_type"),
        (format!("interface: admin\n{good}"), "interface"),
        (good.replace("username: u, ", ""), "username"),
        (good.replace(", project_id: x", ""), "project_name"),
        (good.replace("http://h", "http://h/v2.0"), "v2.0"),
        (good.replace("http://h", "http://u:hunter2hunter2@h"), "auth_url"),
        (good.replace("auth_url: 'http://h', ", ""), "auth_url"),
        (good.replace("project_id", "user_id: y, project_id"), "not both"),
        ("auth: {password: [hunter2hunter2]}".to_owned(), "line 3"),
        ("auth: hunter2hunter2".to_owned(), "line 3"),
        ("auth: {password: hunter2hunter2".to_owned(), "cannot be read"),
    ] {
        let error = entry(&body).unwrap_err();
        assert_eq!(error.class, ErrorClass::InvalidSpec);
        assert!(error.message.contains(words), "{body}: {}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }
    let error = read(b"clouds: {a: {}, b: {}}", "demo", None, None, LAX).unwrap_err();
    assert!(error.message.contains(r#"["a", "b"]"#), "{}", error.message);
    let strict = EndpointRules::default();
    let text = b"clouds: {demo: {auth: {auth_url: 'http://h', username: u, password: p, project_id: x}}}";
    assert!(
        read(text, "demo", None, None, strict)
            .unwrap_err()
            .message
            .contains("https")
    );
}

#[test]
fn debug_shows_no_secret() {
    let cloud =
        entry("auth: {auth_url: 'http://h', username: u, password: hunter2hunter2, project_id: x}").unwrap();
    assert!(!format!("{cloud:?}").contains("hunter2"));
}
