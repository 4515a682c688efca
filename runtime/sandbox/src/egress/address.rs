//! Which addresses are nobody's business: those that are not of the public
//! internet, however they are written.

use crate::defence::{Defence, stands};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of IPv4 that no guest reaches by default, with what they are.
const SPECIAL_V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "an unspecified"),
    ([10, 0, 0, 0], 8, "a private"),
    ([100, 64, 0, 0], 10, "a carrier's"),
    ([127, 0, 0, 0], 8, "a loopback"),
    // Answers for metadata of machines at most providers.
    ([169, 254, 0, 0], 16, "a link-local"),
    ([168, 63, 129, 16], 32, "a provider's metadata"),
    ([172, 16, 0, 0], 12, "a private"),
    ([192, 0, 0, 0], 24, "a protocol's"),
    ([192, 0, 2, 0], 24, "a documentation"),
    ([192, 88, 99, 0], 24, "a 6to4 relay's"),
    ([192, 168, 0, 0], 16, "a private"),
    ([198, 18, 0, 0], 15, "a benchmark's"),
    ([198, 51, 100, 0], 24, "a documentation"),
    ([203, 0, 113, 0], 24, "a documentation"),
    ([224, 0, 0, 0], 4, "a multicast"),
    // The broadcast address is in it.
    ([240, 0, 0, 0], 4, "a reserved"),
];

/// The same for IPv6, within 2000::/3: everything outside it is special.
const SPECIAL_V6: &[([u16; 3], u8, &str)] = &[
    // Teredo, benchmarks and other protocols.
    ([0x2001, 0, 0], 23, "a protocol's"),
    ([0x2001, 0xdb8, 0], 32, "a documentation"),
    ([0x2002, 0, 0], 16, "a 6to4"),
    ([0x3fff, 0, 0], 20, "a documentation"),
];

/// Says what an address is that no guest reaches by default; `None` for those of
/// the public internet.
pub(super) fn special(ip: IpAddr) -> Option<&'static str> {
    match canonical(ip) {
        IpAddr::V4(ip) => SPECIAL_V4
            .iter()
            .find(|(first, bits, _)| same_v4(ip, Ipv4Addr::from(*first), *bits))
            .map(|(_, _, what)| *what),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let global = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);
    if !same_v6(ip, global, 3) {
        return Some(match ip {
            Ipv6Addr::LOCALHOST => "a loopback",
            Ipv6Addr::UNSPECIFIED => "an unspecified",
            _ if ip.is_unicast_link_local() => "a link-local",
            // Answers for metadata of machines are among them.
            _ if ip.is_unique_local() => "a private",
            _ if ip.is_multicast() => "a multicast",
            _ => "a reserved",
        });
    }
    SPECIAL_V6
        .iter()
        .find(|([a, b, c], bits, _)| same_v6(ip, Ipv6Addr::new(*a, *b, *c, 0, 0, 0, 0, 0), *bits))
        .map(|(_, _, what)| *what)
}

/// Returns the address that a packet for `ip` ends at: one of IPv4 where it is
/// written within one of IPv6 (mapped, compatible, or through NAT64).
pub(super) fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else {
        return ip;
    };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let is_inside = matches!(
        [a, b, c, d, e, f],
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0, 0] | [0x64, 0xff9b, 0, 0, 0, 0]
    );
    if !stands(Defence::Canonical)
        || !is_inside
        || matches!(v6, Ipv6Addr::LOCALHOST | Ipv6Addr::UNSPECIFIED)
    {
        return ip;
    }
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

fn same_v4(ip: Ipv4Addr, other: Ipv4Addr, bits: u8) -> bool {
    let over = 32_u32.saturating_sub(u32::from(bits));
    (ip.to_bits() ^ other.to_bits())
        .checked_shr(over)
        .unwrap_or(0)
        == 0
}

fn same_v6(ip: Ipv6Addr, other: Ipv6Addr, bits: u8) -> bool {
    let over = 128_u32.saturating_sub(u32::from(bits));
    (ip.to_bits() ^ other.to_bits())
        .checked_shr(over)
        .unwrap_or(0)
        == 0
}

/// Addresses that begin with the same bits, such as `10.1.2.0/24`; without a
/// number of bits it is one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// Tells whether an address is one of them, however it is written.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        match (self.first, canonical(ip)) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => same_v4(ip, first, self.bits),
            (IpAddr::V6(first), IpAddr::V6(ip)) => same_v6(ip, first, self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Tells whether it is one address alone.
    pub(super) fn is_single(&self) -> bool {
        self.bits == width(self.first)
    }
}

impl From<IpAddr> for Network {
    fn from(ip: IpAddr) -> Self {
        let first = canonical(ip);
        let bits = width(first);
        Self { first, bits }
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            "an address or a network is wanted, such as \"10.1.2.3\" or \"10.1.2.0/24\"".to_owned()
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| wanted())?;
        if canonical(first) != first {
            return Err(format!("write the address of IPv4: {}", canonical(first)));
        }
        let Some(bits) = bits else {
            return Ok(Self::from(first));
        };
        let bits = bits.parse().ok().filter(|bits| *bits <= width(first));
        let network = Self {
            first,
            bits: bits.ok_or_else(wanted)?,
        };
        let is_exact = match first {
            IpAddr::V4(ip) => ip.to_bits().trailing_zeros(),
            IpAddr::V6(ip) => ip.to_bits().trailing_zeros(),
        } >= u32::from(width(first) - network.bits);
        is_exact
            .then_some(network)
            .ok_or_else(|| format!("{address} has bits beyond the first {}", network.bits))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(one: Network) -> Self {
        one.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}/{}", self.first, self.bits),
        }
    }
}

fn width(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_special_address_is_one_however_it_is_written() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(special(ip(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_not_special() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.128.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2600::1",
            "2a00::1",
        ] {
            assert_eq!(special(ip(text)), None, "{text}");
        }
    }

    #[test]
    fn a_network_has_its_addresses_however_they_are_written() {
        let network: Network = "10.1.2.0/24".parse().unwrap();
        for text in ["10.1.2.0", "10.1.2.255", "::ffff:10.1.2.3"] {
            assert!(network.has(ip(text)), "{text}");
        }
        for text in ["10.1.3.0", "10.1.1.255", "::1", "2600::1"] {
            assert!(!network.has(ip(text)), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.has(ip("255.1.2.3")) && !all.has(ip("::1")));
        let private: Network = "fd00::/8".parse().unwrap();
        assert!(private.has(ip("fd12::1")) && !private.has(ip("fe80::1")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, words) in [
            ("", "is wanted"),
            ("localhost", "is wanted"),
            ("10.1.2.0/33", "is wanted"),
            ("10.1.2.0/", "is wanted"),
            ("10.1.2.0/24/8", "is wanted"),
            ("10.1.2.3/24", "has bits beyond the first 24"),
            ("::ffff:10.0.0.1", "write the address of IPv4: 10.0.0.1"),
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_is_shown_as_it_is_written() {
        for text in ["10.1.2.3", "10.1.2.0/24", "::1", "fd00::/8"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
