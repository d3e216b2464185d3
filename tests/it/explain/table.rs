//! Cases of Teleport's rules as files a user has: what goes in, and what must come out.
//!
//! Plain data, so that anything that can be handed such files may be run over the same table.

/// What `explain dial` must say of a pair of files.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// `version` of the proxies' file.
    pub(crate) version: &'static str,
    /// `proxy_listener_mode`.
    pub(crate) mode: &'static str,
    /// Further lines of `proxy_service`.
    pub(crate) proxy: &'static [&'static str],
    /// Further keys of `auth_service`, in one line.
    pub(crate) auth: &'static str,
    /// `TELEPORT_TUNNEL_PUBLIC_ADDR`.
    pub(crate) variable: Option<&'static str>,
    pub(crate) expected: Expected,
}

/// What must come out.
pub(crate) enum Expected {
    /// No dial, for a reason with these words.
    Error(&'static str),
    /// This address by this rule; whether TLS verifies its host; whether that is a principal; and
    /// the listener of its port.
    Dial(&'static str, &'static str, bool, bool, &'static str),
}

use Expected::{Dial, Error};

/// A case of a v3 file with TLS routing.
const fn multiplex(
    name: &'static str,
    proxy: &'static [&'static str],
    variable: Option<&'static str>,
    expected: Expected,
) -> Case {
    Case {
        name,
        version: "v3",
        mode: "multiplex",
        proxy,
        auth: "",
        variable,
        expected,
    }
}

/// A case of a v3 file without TLS routing.
const fn separate(
    name: &'static str,
    proxy: &'static [&'static str],
    variable: Option<&'static str>,
    expected: Expected,
) -> Case {
    Case {
        mode: "separate",
        ..multiplex(name, proxy, variable, expected)
    }
}

const TLS: &str = "tls_routing_public_addr";
const TWO: &[&str] = &["public_addr: [external.example.com:443, internal.example.com:3080]"];
const TUNNEL: &[&str] = &[
    "public_addr: proxy.example.com:3080",
    "tunnel_listen_addr: 0.0.0.0:3024",
    "tunnel_public_addr: internal.example.com:3024",
];

/// Addresses by every rule, with their names and listeners.
pub(crate) const CASES: &[Case] = &[
    multiplex(
        "one public address",
        &["public_addr: proxy.example.com:443"],
        None,
        Dial("proxy.example.com:443", TLS, true, true, "web"),
    ),
    multiplex(
        "a missing port is the web listener's",
        &[
            "public_addr: proxy.example.com",
            "web_listen_addr: 0.0.0.0:8443",
        ],
        None,
        Dial("proxy.example.com:8443", TLS, true, true, "web"),
    ),
    multiplex(
        "a missing port is 3080 where no listener is written",
        &["public_addr: proxy.example.com"],
        None,
        Dial("proxy.example.com:3080", TLS, true, true, "web"),
    ),
    multiplex(
        "only the first of two is told",
        TWO,
        None,
        Dial("external.example.com:443", TLS, true, true, "web"),
    ),
    multiplex(
        "the variable names the second",
        TWO,
        Some("internal.example.com:3080"),
        Dial(
            "internal.example.com:3080",
            "environment",
            true,
            true,
            "web",
        ),
    ),
    multiplex(
        "the variable names what is no principal",
        TWO,
        Some("lb.example.com:3080"),
        Dial("lb.example.com:3080", "environment", true, false, "web"),
    ),
    multiplex(
        "the variable names an address",
        TWO,
        Some("10.0.0.7:3080"),
        Dial("10.0.0.7:3080", "environment", true, false, "web"),
    ),
    multiplex(
        "the variable is IPv6 with brackets",
        TWO,
        Some("[::1]:3080"),
        Dial("[::1]:3080", "environment", true, true, "web"),
    ),
    multiplex(
        "the variable has no host",
        TWO,
        Some(":3080"),
        Dial("localhost:3080", "environment", true, true, "web"),
    ),
    multiplex(
        "the variable has no port",
        TWO,
        Some("internal.example.com"),
        Error("missing port in address"),
    ),
    multiplex(
        "tunnel_public_addr is ignored with TLS routing",
        TUNNEL,
        None,
        Dial("proxy.example.com:3080", TLS, true, true, "web"),
    ),
    multiplex(
        "a tunnel port in public_addr is dialled as it is",
        &[
            "public_addr: proxy.example.com:3024",
            "tunnel_listen_addr: 0.0.0.0:3024",
        ],
        None,
        Dial("proxy.example.com:3024", TLS, true, true, "tunnel"),
    ),
    multiplex(
        "an address that is an IP",
        &["public_addr: 10.0.0.7:443"],
        None,
        Dial("10.0.0.7:443", TLS, true, true, "web"),
    ),
    Case {
        version: "v1",
        ..multiplex(
            "v1 with TLS routing",
            &["public_addr: proxy.example.com:443"],
            None,
            Dial("proxy.example.com:443", TLS, true, true, "web"),
        )
    },
    Case {
        version: "v2",
        ..multiplex(
            "v2 with TLS routing",
            &["public_addr: proxy.example.com:443"],
            None,
            Dial("proxy.example.com:443", TLS, true, true, "web"),
        )
    },
    Case {
        auth: "tunnel_strategy: {type: proxy_peering, agent_connection_count: 2}",
        ..multiplex(
            "peering dials as a mesh does",
            &["public_addr: proxy.example.com:443"],
            None,
            Dial("proxy.example.com:443", TLS, true, true, "web"),
        )
    },
    separate(
        "tunnel_public_addr wins without TLS routing",
        TUNNEL,
        None,
        Dial(
            "internal.example.com:3024",
            "tunnel_public_addr",
            false,
            true,
            "tunnel",
        ),
    ),
    separate(
        "the first of two tunnel_public_addr",
        &[
            "public_addr: proxy.example.com:3080",
            "tunnel_listen_addr: 0.0.0.0:3024",
            "tunnel_public_addr: [a.example.com:3024, b.example.com:3024]",
        ],
        None,
        Dial(
            "a.example.com:3024",
            "tunnel_public_addr",
            false,
            true,
            "tunnel",
        ),
    ),
    separate(
        "its own port is kept",
        &[
            "public_addr: proxy.example.com:3080",
            "tunnel_listen_addr: 0.0.0.0:3024",
            "tunnel_public_addr: a.example.com:9024",
        ],
        None,
        Dial(
            "a.example.com:9024",
            "tunnel_public_addr",
            false,
            true,
            "web",
        ),
    ),
    separate(
        "ssh_public_addr lends its host",
        &[
            "public_addr: proxy.example.com:3080",
            "tunnel_listen_addr: 0.0.0.0:5024",
            "ssh_public_addr: ssh.example.com:3023",
        ],
        None,
        Dial(
            "ssh.example.com:5024",
            "ssh_public_addr",
            false,
            true,
            "tunnel",
        ),
    ),
    separate(
        "public_addr lends its host",
        &[
            "public_addr: proxy.example.com:443",
            "tunnel_listen_addr: 0.0.0.0:3024",
        ],
        None,
        Dial(
            "proxy.example.com:3024",
            "public_addr",
            false,
            true,
            "tunnel",
        ),
    ),
    Case {
        version: "v1",
        ..separate(
            "v1 has a tunnel listener of its own accord",
            &["public_addr: proxy.example.com:443"],
            None,
            Dial(
                "proxy.example.com:3024",
                "public_addr",
                false,
                true,
                "tunnel",
            ),
        )
    },
    separate(
        "v3 has none, and 3024 leads to the web",
        &["public_addr: proxy.example.com:443"],
        None,
        Dial("proxy.example.com:3024", "public_addr", false, true, "web"),
    ),
    separate(
        "the variable beats tunnel_public_addr, too",
        TUNNEL,
        Some("other.example.com:3024"),
        Dial(
            "other.example.com:3024",
            "environment",
            false,
            false,
            "tunnel",
        ),
    ),
];

/// What `explain dial --find` must say of a document.
pub(crate) struct FindCase {
    /// The fields of `proxy.ssh`, as JSON.
    pub(crate) ssh: &'static str,
    /// `proxy.tls_routing_enabled`.
    pub(crate) tls_routing: bool,
    /// The address and the rule.
    pub(crate) expected: Result<(&'static str, &'static str), &'static str>,
}

const fn find(
    tls_routing: bool,
    ssh: &'static str,
    expected: Result<(&'static str, &'static str), &'static str>,
) -> FindCase {
    FindCase {
        ssh,
        tls_routing,
        expected,
    }
}

/// Documents that no file of the lab's makes.
pub(crate) const FINDS: &[FindCase] = &[
    find(
        true,
        r#""public_addr": "p.example.com""#,
        Ok(("p.example.com:443", TLS)),
    ),
    find(
        true,
        r#""public_addr": "https://p.example.com:8443/web""#,
        Ok(("p.example.com:8443", TLS)),
    ),
    find(
        true,
        r#""web_listen_addr": "0.0.0.0:3080""#,
        Ok(("localhost:3080", "tls_routing_web_listen_addr")),
    ),
    find(
        false,
        r#""tunnel_listen_addr": "[::]:3024", "web_listen_addr": "0.0.0.0:3080""#,
        Ok(("localhost:3024", "tunnel_listen_addr")),
    ),
    find(
        false,
        r#""web_listen_addr": "10.0.0.7:3080""#,
        Ok(("10.0.0.7:3080", "web_listen_addr")),
    ),
    find(
        false,
        r#""ssh_tunnel_public_addr": "t.example.com""#,
        Ok(("t.example.com:3024", "tunnel_public_addr")),
    ),
    find(
        true,
        r#""public_addr": "ftp://p.example.com""#,
        Err("is not an address"),
    ),
];
