//! Mutated packets and zone files: nothing panics, hangs or grows.
