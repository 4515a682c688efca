//! What tests of outgoing HTTP share.
