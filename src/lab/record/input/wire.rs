//! A DNS name or record in a recording: the hexadecimal digits of its wire form, uncompressed.

use std::fmt::Write as _;

use hickory_proto::serialize::binary::{
    BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding,
};
use serde::{Deserialize, Deserializer, Serializer, de, ser};

pub(in crate::lab::record) fn hex(value: &impl BinEncodable) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    value
        .emit(&mut encoder)
        .map_err(|error| error.to_string())?;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in &bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

pub(in crate::lab::record) fn read<T: for<'a> BinDecodable<'a>>(text: &str) -> Result<T, String> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16)
            .ok()
            .filter(|_| pair.len() == 2)
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    let bytes = bytes.ok_or_else(|| format!("{text:?} is not pairs of hex digits"))?;
    T::read(&mut BinDecoder::new(&bytes)).map_err(|error| error.to_string())
}

pub(in crate::lab::record) fn serialize<T: BinEncodable, S: Serializer>(
    value: &T,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hex(value).map_err(ser::Error::custom)?)
}

pub(in crate::lab::record) fn deserialize<
    'de,
    T: for<'a> BinDecodable<'a>,
    D: Deserializer<'de>,
>(
    from: D,
) -> Result<T, D::Error> {
    read(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// Several records.
pub(super) mod list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use hickory_proto::rr::Record;

    use super::{hex, read};

    pub(in crate::lab::record) fn serialize<S: Serializer>(
        value: &[Record],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Result<Vec<_>, _> = value.iter().map(hex).collect();
        texts.map_err(ser::Error::custom)?.serialize(to)
    }

    pub(in crate::lab::record) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Record>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let records = texts.iter().map(|text| read(text));
        records.collect::<Result<_, _>>().map_err(de::Error::custom)
    }
}

/// One record that may be missing.
pub(super) mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use hickory_proto::rr::Record;

    use super::{hex, read};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(in crate::lab::record) fn serialize<S: Serializer>(
        value: &Option<Box<Record>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let text = value.as_deref().map(hex).transpose();
        text.map_err(ser::Error::custom)?.serialize(to)
    }

    pub(in crate::lab::record) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Box<Record>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let record = text.map(|text| read(&text).map(Box::new)).transpose();
        record.map_err(de::Error::custom)
    }
}
