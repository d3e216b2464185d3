//! Tables and properties of the balancer machine.
