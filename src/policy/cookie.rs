//! DNS cookies: proof that a client gets what is sent to its address (RFC 7873, RFC 9018).
//!
//! In go an option as it was read, the server's secret, the client's address and the time; out come
//! what the cookie is worth and the whole cookie to send back. Nothing is kept per client. The
//! octets are those of RFC 9018 section 4, so servers of one address that share a secret, of
//! whatever make, take each other's.

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// How long the client's part is.
const CLIENT: usize = 8;
/// How long the server's part is that we make.
const SERVER: usize = 16;
/// How long the server's part is at least and at most (RFC 7873 section 4).
const SERVER_MIN: usize = 8;
const SERVER_MAX: usize = 32;

/// How old a cookie is at most, in seconds (RFC 9018 section 4.3).
const AGE_MAX: u32 = 3_600;
/// From which age on it is made anew, in seconds (RFC 9018 section 4.3).
const AGE_RENEW: u32 = 1_800;
/// How far in the future a cookie is at most, in seconds, for clocks that differ (RFC 9018
/// section 4.3).
const AHEAD_MAX: u32 = 300;

/// A whole cookie: the client's part and the server's.
pub type Full = [u8; CLIENT + SERVER];

/// The server's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 16]);

/// The cookie of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The client's part.
    client: [u8; CLIENT],
    server: Part,
    /// When it came, in seconds since 1970, modulo 2^32 (RFC 9018 section 4.3).
    at: u32,
}

/// The server's part of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// There is none.
    Absent,
    /// It has another length than ours have.
    Foreign,
    Ours([u8; SERVER]),
}

/// What a cookie is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// There is only the client's part.
    Begun,
    /// We gave it to this address.
    Good,
    /// It is too old, of another address, or not of ours.
    Wrong,
}

impl Secret {
    /// Takes the octets of a secret.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}

/// It is not shown.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Given {
    /// Reads the content of the option; `None` when no cookie has this length (RFC 7873
    /// section 5.2.2: FORMERR).
    pub fn read(content: &[u8], at: u32) -> Option<Self> {
        let (client, rest) = content.split_first_chunk::<CLIENT>()?;
        let server = match rest.len() {
            0 => Part::Absent,
            SERVER => Part::Ours(rest.try_into().ok()?),
            SERVER_MIN..=SERVER_MAX => Part::Foreign,
            _ => return None,
        };
        Some(Self {
            client: *client,
            server,
            at,
        })
    }

    /// Judges it, and makes the one that goes back.
    pub fn check(&self, secret: &Secret, client: IpAddr) -> (Worth, Full) {
        let full = |server: [u8; SERVER]| {
            let mut full = [0; CLIENT + SERVER];
            full[..CLIENT].copy_from_slice(&self.client);
            full[CLIENT..].copy_from_slice(&server);
            full
        };
        let fresh = || full(self.make(secret, client, self.at));
        let given = match self.server {
            Part::Absent => return (Worth::Begun, fresh()),
            Part::Foreign => return (Worth::Wrong, fresh()),
            Part::Ours(given) => given,
        };
        let [_, _, _, _, a, b, c, d, ..] = given;
        let made = u32::from_be_bytes([a, b, c, d]);
        // Serial numbers (RFC 1982), so that the year 2106 does no harm.
        let age = self.at.wrapping_sub(made);
        let ahead = made.wrapping_sub(self.at);
        if (age > AGE_MAX && ahead > AHEAD_MAX) || given != self.make(secret, client, made) {
            return (Worth::Wrong, fresh());
        }
        let back = if age > AGE_RENEW {
            fresh()
        } else {
            full(given)
        };
        (Worth::Good, back)
    }

    /// Makes the server's part (RFC 9018 sections 4.1 to 4.4).
    fn make(&self, secret: &Secret, client: IpAddr, at: u32) -> [u8; SERVER] {
        let mut hashed = [0; CLIENT + 8 + 16];
        hashed[..CLIENT].copy_from_slice(&self.client);
        // Version 1, and three octets that are reserved.
        hashed[CLIENT] = 1;
        hashed[CLIENT + 4..CLIENT + 8].copy_from_slice(&at.to_be_bytes());
        let length = match client.to_canonical() {
            IpAddr::V4(four) => {
                hashed[CLIENT + 8..CLIENT + 12].copy_from_slice(&four.octets());
                CLIENT + 12
            }
            IpAddr::V6(six) => {
                hashed[CLIENT + 8..].copy_from_slice(&six.octets());
                CLIENT + 24
            }
        };
        let hash = SipHasher24::new_with_key(&secret.0).hash(&hashed[..length]);
        let mut server = [0; SERVER];
        server[..8].copy_from_slice(&hashed[CLIENT..CLIENT + 8]);
        server[8..].copy_from_slice(&hash.to_le_bytes());
        server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets from hexadecimal digits.
    fn octets(digits: &str) -> Vec<u8> {
        let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(pair).collect()
    }

    fn secret(digits: &str) -> Secret {
        Secret::new(octets(digits).try_into().unwrap())
    }

    /// Asks with a cookie and checks what it is worth and what goes back.
    fn check(given: &str, (at, key, client): (u32, &str, &str), worth: Worth, back: &str) {
        let given = Given::read(&octets(given), at).unwrap();
        let (told, full) = given.check(&secret(key), client.parse().unwrap());
        assert_eq!((told, full.to_vec()), (worth, octets(back)));
    }

    const KEY: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    #[test]
    fn a_cookie_begins_as_in_rfc_9018_appendix_a_1() {
        let full = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let asker = (1_559_731_985, KEY, "198.51.100.100");
        check("2464c4abcf10c957", asker, Worth::Begun, full);
        check(full, asker, Worth::Good, full);
    }

    #[test]
    fn a_cookie_of_ipv6_is_that_of_rfc_9018_appendix_a_4() {
        let asker = (
            1_559_741_961,
            "445536bcd2513298075a5d379663c962",
            "2001:db8:220:1:59de:d0f4:8769:82b8",
        );
        let full = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
        // The one that came was made with the secret before.
        let given = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        check(given, asker, Worth::Wrong, full);
    }

    #[test]
    fn a_cookie_has_its_time_and_its_address() {
        let full = octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        let made = 1_559_731_985;
        let worth = |octets: &[u8], at: u32, client: &str| {
            let given = Given::read(octets, at).unwrap();
            let (worth, back) = given.check(&secret(KEY), client.parse().unwrap());
            (worth, back[..] == *octets)
        };
        let own = "198.51.100.100";
        assert_eq!(worth(&full, made + 1_800, own), (Worth::Good, true));
        assert_eq!(worth(&full, made + 1_801, own), (Worth::Good, false));
        assert_eq!(worth(&full, made + 3_600, own), (Worth::Good, false));
        assert_eq!(worth(&full, made + 3_601, own), (Worth::Wrong, false));
        assert_eq!(worth(&full, made - 300, own).0, Worth::Good);
        assert_eq!(worth(&full, made - 301, own).0, Worth::Wrong);
        assert_eq!(worth(&full, made, "198.51.100.101").0, Worth::Wrong);
        assert_eq!(worth(&full, made, "::ffff:198.51.100.100").0, Worth::Good);
        for place in 0..full.len() {
            let mut other = full.clone();
            other[place] ^= 1;
            assert_eq!(worth(&other, made, own).0, Worth::Wrong, "octet {place}");
        }
    }

    #[test]
    fn a_cookie_has_8_octets_or_16_to_40() {
        let lengths = (0..64).filter(|length| Given::read(&vec![7; *length], 0).is_some());
        let known: Vec<_> = [8].into_iter().chain(16..=40).collect();
        assert_eq!(lengths.collect::<Vec<_>>(), known);
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", secret(KEY)), "Secret(…)");
    }
}
