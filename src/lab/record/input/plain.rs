//! A number or an address in a record, as what it wraps.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    ClientAddr, ConnId, DialId, FlowId, ListenAddr, RecordType, RequestId, ResponseCode, Span,
};

pub(super) trait Plain: Copy {
    type Inner: Serialize + for<'de> Deserialize<'de>;
    fn wrap(inner: Self::Inner) -> Self;
    fn inner(self) -> Self::Inner;
}

macro_rules! wraps {
    ($($name:ident($inner:ty)),*) => {$(
        impl Plain for $name {
            type Inner = $inner;
            fn wrap(inner: $inner) -> Self {
                Self(inner)
            }
            fn inner(self) -> $inner {
                self.0
            }
        }
    )*};
}

wraps!(
    ClientAddr(SocketAddr),
    ConnId(u64),
    DialId(u64),
    FlowId(u64),
    ListenAddr(SocketAddr),
    RequestId(u64)
);

impl Plain for RecordType {
    type Inner = u16;
    fn wrap(inner: u16) -> Self {
        Self::from(inner)
    }
    fn inner(self) -> u16 {
        u16::from(self)
    }
}

impl Plain for ResponseCode {
    type Inner = u16;
    fn wrap(inner: u16) -> Self {
        let [high, low] = inner.to_be_bytes();
        Self::from(high << 4 | low >> 4, low & 0xf)
    }
    fn inner(self) -> u16 {
        u16::from(self)
    }
}

impl Plain for Span {
    type Inner = u64;
    fn wrap(inner: u64) -> Self {
        Self::from_us(inner)
    }
    fn inner(self) -> u64 {
        self.as_us()
    }
}

pub(super) fn serialize<T: Plain, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.inner().serialize(to)
}

pub(super) fn deserialize<'de, T: Plain, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::Inner::deserialize(from).map(T::wrap)
}
