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

/// Anything can be in a Secret: no panic, no memory without end, and no word of it in an error.
mod any_file {
    use proptest::prelude::*;

    use super::*;

    const PLANTED: &str = "planted-password-2";

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => prop::sample::select(vec!["http://127.0.0.1:5000/v3", "https://cloud.example", "demo", "default", "password",
                "token", "true", "false", "null", "~", "0x1f", "1e9", "[]", "{}", "&a x", "*a", "!!binary aa", "|", "- x", "''"])
                .prop_map(str::to_owned),
            2 => Just(PLANTED.to_owned()),
            1 => "\\PC{0,30}",
        ]
    }

    fn line(keys: &'static [&'static str]) -> impl Strategy<Value = (&'static str, String)> {
        (prop::sample::select(keys), value())
    }

    const OUTER: &[&str] = &[
        "auth_type",
        "region_name",
        "interface",
        "endpoint_type",
        "verify",
        "insecure",
        "<<",
        "auth",
    ];
    const INNER: &[&str] = &[
        "auth_url",
        "username",
        "user_id",
        "password",
        "user_domain_name",
        "user_domain_id",
        "project_name",
        "tenant_id",
        "project_domain_name",
        "domain_id",
        "default_domain",
        "application_credential_id",
        "application_credential_name",
        "application_credential_secret",
        "token",
    ];

    fn harmless(file: &[u8]) -> Result<(), TestCaseError> {
        if let Err(e) = read(file, "demo", None, None, LAX) {
            prop_assert!(!format!("{e:?}").contains(PLANTED), "{e:?}");
            prop_assert!(e.message.chars().count() < 2000, "{}", e.message.len());
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(crate::planner::tests::campaign(300))]

        #[test]
        fn of_bytes(file in prop::collection::vec(any::<u8>(), 0..200)) {
            harmless(&file)?;
        }

        #[test]
        fn of_lines_that_almost_fit(
            outer in prop::collection::vec(line(OUTER), 0..5),
            inner in prop::collection::vec(line(INNER), 0..8),
            indent in 0usize..8,
        ) {
            let mut file = "clouds:\n  demo:\n    auth:\n".to_owned();
            for (key, value) in inner {
                file += &format!("{}{key}: {value}\n", " ".repeat(4 + indent / 3));
            }
            for (key, value) in outer {
                file += &format!("    {key}: {value}\n");
            }
            harmless(file.as_bytes())?;
        }
    }

    /// Ten lines that mean a thousand million: the parser gives up before the memory does.
    #[test]
    fn that_grows_as_it_is_read_is_refused() {
        let mut file = format!("a0: &a0 [{PLANTED}]\n");
        for n in 1..10 {
            let before = vec![format!("*a{}", n - 1); 10].join(", ");
            file += &format!("a{n}: &a{n} [{before}]\n");
        }
        file += "clouds: {demo: *a9}\n";
        harmless(file.as_bytes()).unwrap();
        assert!(read(file.as_bytes(), "demo", None, None, LAX).is_err());
    }
}
