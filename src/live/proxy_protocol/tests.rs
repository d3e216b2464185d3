//! Headers of both versions, whole, in pieces, and broken (proxy-protocol.txt, 2.1 and 2.2).

use tokio::io::AsyncWriteExt;

use super::*;
use crate::model::draw::Seed;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads a header from these bytes and gives it with what was left unread.
async fn read_from(bytes: &[u8]) -> (Result<Header, Error>, Vec<u8>) {
    let mut rest = bytes;
    let result = read(&mut rest).await;
    (result, rest.to_vec())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

#[tokio::test]
async fn what_a_door_writes_is_read_back_and_not_a_byte_more() {
    for (client, destination) in [
        ("127.42.0.9:40000", "127.41.0.2:3080"),
        ("[2001:db8::9]:40000", "[2001:db8::2]:3080"),
    ] {
        let (client, destination) = (address(client), address(destination));
        let bytes = [header(client, destination), b"\x16\x03".to_vec()].concat();
        let (result, rest) = read_from(&bytes).await;
        assert_eq!(result.unwrap(), Header::of(client, destination));
        assert_eq!(rest, b"\x16\x03");
    }
}

#[test]
fn a_header_of_ipv4_has_28_bytes_in_their_order() {
    let bytes = header(address("127.42.0.9:40000"), address("127.41.0.2:3080"));
    let body = [127, 42, 0, 9, 127, 41, 0, 2, 0x9c, 0x40, 0x0c, 0x08];
    assert_eq!(bytes, binary(0x21, 0x11, &body));
    let mapped = header(
        address("[::ffff:127.42.0.9]:40000"),
        address("127.41.0.2:3080"),
    );
    assert_eq!(mapped, bytes, "mapped IPv4 is IPv4");
}

#[tokio::test]
async fn addresses_of_two_families_are_both_sent_as_ipv6() {
    let (client, destination) = (address("127.42.0.9:40000"), address("[2001:db8::2]:3080"));
    let (result, _) = read_from(&header(client, destination)).await;
    let client = address("[::ffff:127.42.0.9]:40000");
    assert_eq!(result.unwrap(), Header::of(client, destination));
}

#[tokio::test]
async fn local_and_unknown_keep_the_real_address() {
    assert_eq!(local(), binary(0x20, 0x00, &[]));
    let with_addresses = binary(0x20, 0x11, &[0; 12]);
    let unix = binary(0x21, 0x31, &[0; 216]);
    for (bytes, expected) in [
        (local(), Header::LOCAL),
        (with_addresses, Header::LOCAL),
        (unix, Header::NOBODY),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::NOBODY),
        (checking(SendProxy::V1), Header::NOBODY),
        (checking(SendProxy::V2), Header::LOCAL),
    ] {
        let (result, rest) = read_from(&bytes).await;
        assert_eq!(result.unwrap(), expected);
        assert!(rest.is_empty());
    }
    assert!(checking(SendProxy::None).is_empty());
}

#[tokio::test]
async fn version_1_is_read_too() {
    for (line, client, destination) in [
        (
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443",
            "192.0.2.1:56324",
            "192.0.2.2:443",
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:db8::2 1 2",
            "[2001:db8::1]:1",
            "[2001:db8::2]:2",
        ),
    ] {
        let (result, rest) = read_from(format!("{line}\r\nGET").as_bytes()).await;
        assert_eq!(
            result.unwrap(),
            Header::of(address(client), address(destination))
        );
        assert_eq!(rest, b"GET");
    }
}

#[tokio::test]
async fn extensions_are_skipped() {
    let body = [
        &[10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2][..],
        &[0xea, 0, 3, 1, 2, 3],
    ]
    .concat();
    let (result, rest) = read_from(&[binary(0x21, 0x11, &body), b"x".to_vec()].concat()).await;
    let expected = Header::of(address("10.0.0.1:1"), address("10.0.0.2:2"));
    assert_eq!(result.unwrap(), expected);
    assert_eq!(rest, b"x");
}

#[tokio::test]
async fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
    for (bytes, read) in [
        (&b"\x16\x03\x01"[..], 1),
        (b"GET / HTTP/1.1", 1),
        (b"PRINCE", 3),
        (b"\r\nX", 3),
    ] {
        let (result, _) = read_from(bytes).await;
        let Err(Error::Absent { found }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(found, bytes[..read]);
    }
}

#[tokio::test]
async fn broken_headers_are_refused() {
    let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
    let cases = [
        (binary(0x11, 0x11, &[0; 12]), "malformed"),
        (binary(0x22, 0x11, &[0; 12]), "malformed"),
        (binary(0x21, 0x11, &[0; 11]), "malformed"),
        (binary(0x21, 0x51, &[0; 12]), "malformed"),
        (binary(0x21, 0x11, &[0; 1_025]), "more than 1024"),
        ([SIGNATURE, &[0x21, 0x11, 0, 12, 1]].concat(), "reading"),
        (
            b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n".to_vec(),
            "malformed",
        ),
        (b"PROXY \xff\xfe\r\n".to_vec(), "malformed"),
        (b"PROXY TCP4 1.2".to_vec(), "reading"),
        (long.into_bytes(), "no line end in 107 bytes"),
        (Vec::new(), "reading"),
    ];
    for (bytes, words) in cases {
        let (result, _) = read_from(&bytes).await;
        let text = result.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn mutated_headers_never_panic_and_never_read_past_their_bound() {
    let good = [
        header(address("127.42.0.9:40000"), address("127.41.0.2:3080")),
        header(
            address("[2001:db8::9]:40000"),
            address("[2001:db8::2]:3080"),
        ),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(),
        local(),
    ];
    for case in 0..5_000 {
        let draw = |what, n, of: usize| {
            let value = Seed(3).draw(&format!("case {case}"), what, n) % of as u64;
            usize::try_from(value).unwrap()
        };
        let mut bytes = good[draw("header", 0, good.len())].clone();
        bytes.extend([b'x'; 2_000]);
        for n in 0..draw("count", 0, 4) as u64 {
            let at = draw("at", n, 60);
            bytes[at] = u8::try_from(draw("byte", n, 256)).unwrap();
        }
        let (_, rest) = read_from(&bytes).await;
        assert!(bytes.len() - rest.len() <= FIXED + BODY_MAX);
    }
}

#[test]
fn a_line_of_version_1_is_written_as_the_text_says() {
    let (client, destination) = (address("127.42.0.9:40000"), address("127.41.0.2:3080"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert_eq!(
        text(opening(SendProxy::V1, client, destination)),
        "PROXY TCP4 127.42.0.9 127.41.0.2 40000 3080\r\n"
    );
    let mixed = text(opening(SendProxy::V1, client, address("[::1]:3080")));
    assert_eq!(mixed, "PROXY TCP6 ::ffff:127.42.0.9 ::1 40000 3080\r\n");
    assert!(opening(SendProxy::None, client, destination).is_empty());
}

#[tokio::test]
async fn a_header_is_read_if_there_is_one_and_what_follows_is_left() {
    let client = address("127.42.0.9:40000");
    let two = header(client, client);
    for (bytes, read, left) in [
        ([&two[..], b"\x16\x03"].concat(), true, &b"\x16\x03"[..]),
        (b"\x16\x03\x01".to_vec(), false, b"\x16\x03\x01"),
        (b"PROPFIND /".to_vec(), false, b"PROPFIND /"),
        (b"PRO".to_vec(), false, b"PRO"),
        (Vec::new(), false, b""),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut server = cut::Group::default().holds(server);
        sender.write_all(&bytes).await.unwrap();
        drop(sender);
        let found = read_any(&mut server).await.unwrap();
        assert_eq!(found.is_some(), read, "{bytes:02x?}");
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, left);
    }
}
