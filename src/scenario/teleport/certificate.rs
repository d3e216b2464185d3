//! Where the names of the pool's web certificate come from: `https_keypairs`, ACME, or Teleport.
//!
//! Certificates are read for their names alone, and their keys not at all: the lab's own authority
//! issues what the proxies show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::model::addr::HostPort;
use crate::model::id::Name;
use crate::model::mistake::Files;
use crate::model::teleport::WebCertificate;

use super::super::files::beside;
use super::reader::File;
use super::shape::ProxyService;

/// How many names of certificates are taken; real ones carry up to a hundred each.
const NAMES_MAX: usize = 1_000;

/// Says where the names come from, and warns where they are not those of the real certificate.
pub(super) fn of(
    file: &mut File<'_>,
    given: &ProxyService,
    public: &[HostPort],
    files: &dyn Files,
) -> WebCertificate {
    let pairs = pairs(file, given);
    if pairs.is_empty() {
        return acme(file, public);
    }
    let mut names: Vec<Name> = Vec::new();
    let mut elsewhere = false;
    for (key, path) in pairs {
        let path = beside(file.path, &path);
        match files.read(&path) {
            Err(why) => {
                elsewhere = true;
                let what = format!(
                    "{} cannot be read ({why}): the lab's authority issues a certificate for every host of public_addr and tunnel_public_addr and all below each",
                    path.display()
                );
                file.warn(
                    &key,
                    what,
                    "put a copy there if the real one has other names",
                );
            }
            Ok(text) => match read(&text) {
                Ok(more) => names.extend(more),
                Err(why) => {
                    let what = format!("{} is not a certificate: {why}", path.display());
                    file.wrong(&key, what, "name a PEM file with BEGIN CERTIFICATE");
                }
            },
        }
    }
    if elsewhere {
        return WebCertificate::Elsewhere;
    }
    let mut once: Vec<Name> = Vec::new();
    for name in names {
        if once.len() < NAMES_MAX && !once.contains(&name) {
            once.push(name);
        }
    }
    WebCertificate::Read(once)
}

/// Gives the certificates that the file names, and the keys that name them.
fn pairs(file: &mut File<'_>, given: &ProxyService) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (index, pair) in given.https_keypairs.iter().flatten().enumerate() {
        let path = pair.as_ref().and_then(|pair| pair.cert_file.clone());
        let key = format!("proxy_service.https_keypairs[{index}].cert_file");
        pairs.extend(path.map(|path| (key, path)));
    }
    let [certificate, key] = ["https_cert_file", "https_key_file"].map(|key| {
        let key = format!("proxy_service.{key}");
        (file.has(&key), key)
    });
    match (certificate, key) {
        ((true, key), (true, _)) => {
            let path = given.https_cert_file.clone();
            pairs.extend(path.map(|path| (key, path)));
        }
        ((true, key), (false, _)) => {
            file.wrong(
                &key,
                "https_key_file must be set as well",
                "name the key too",
            );
        }
        ((false, _), (true, key)) => {
            file.wrong(
                &key,
                "https_cert_file must be set as well",
                "name the certificate too",
            );
        }
        ((false, _), (false, _)) => {}
    }
    pairs.retain(|(_, path)| !path.is_empty());
    pairs
}

/// Without pairs: a certificate by ACME has the names of `public_addr`, else Teleport makes one.
fn acme(file: &mut File<'_>, public: &[HostPort]) -> WebCertificate {
    if file.on("proxy_service.acme", false) != Some(true) {
        return WebCertificate::SelfSigned;
    }
    file.warn(
        "proxy_service.acme",
        "the lab asks no ACME authority: its own issues a certificate for the hosts of public_addr",
        "",
    );
    let mut names: Vec<Name> = Vec::new();
    for address in public {
        if !names.contains(&address.host) {
            names.push(address.host.clone());
        }
    }
    WebCertificate::Read(names)
}

/// Gives the names of the first certificate of a PEM text; those after it are its authorities.
fn read(text: &str) -> Result<Vec<Name>, String> {
    let mut pems = Pem::iter_from_buffer(text.as_bytes());
    let pem = pems.find_map(|pem| pem.ok().filter(|pem| pem.label == "CERTIFICATE"));
    let pem = pem.ok_or_else(|| String::from("there is no PEM certificate in it"))?;
    let certificate = pem.parse_x509().map_err(|error| error.to_string())?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let names = names.map(|names| names.value.general_names.as_slice());
    // The subject's common name counts for nothing (RFC 9525, and Go's verifier).
    Ok(names.unwrap_or_default().iter().filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).ok().map(Ipv4Addr::from);
            let six = <[u8; 16]>::try_from(*bytes).ok().map(Ipv6Addr::from);
            let address = four.map(IpAddr::V4).or_else(|| six.map(IpAddr::V6))?;
            Some(address.to_string().into())
        }
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}
