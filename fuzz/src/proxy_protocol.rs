//! The header of the PROXY protocol and what follows it: no split sways it, a header is found where one is permitted and only
//! there, and the addresses that it was read as are read again when they are written in the other version.

use std::net::{IpAddr, SocketAddr};

use super::transcript::{Appetite, Peer, flags, run};
use super::{has_no_controls, however_split, parts};
use rwsgi::http::ProxyProtocol;

const VERSIONS: [ProxyProtocol; 4] =
    [ProxyProtocol::Auto, ProxyProtocol::V1, ProxyProtocol::V2, ProxyProtocol::Off];
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub fn check(input: &[u8]) {
    let Some((flags, cuts, stream)) = parts(input) else { return };
    let mut policy = flags::policy(flags);
    policy.proxy_protocol = VERSIONS[usize::from(cuts & 3)];
    let lines = however_split(&policy, flags::trusted(flags), cuts, stream);
    has_no_controls(&lines);
    let Some(told) = lines.first().and_then(|line| line.strip_prefix("proxied ")) else { return };
    let permitted = match policy.proxy_protocol {
        ProxyProtocol::Off => false,
        ProxyProtocol::V1 => stream.starts_with(b"PROXY "),
        ProxyProtocol::V2 => stream.starts_with(SIGNATURE),
        ProxyProtocol::Auto => stream.starts_with(b"PROXY ") || stream.starts_with(SIGNATURE),
    };
    assert!(permitted, "{told}");
    if let [protocol, client, proxy] = told.split(' ').collect::<Vec<_>>()[..] {
        let (client, proxy) = (client.parse().expect("an address"), proxy.parse().expect("an address"));
        policy.proxy_protocol = ProxyProtocol::Auto;
        for header in [version_1(protocol, client, proxy), version_2(client, proxy)] {
            let peer = Peer { policy: &policy, trusted: flags::trusted(flags), eof: true };
            assert_eq!(run(&peer, &[&header], Appetite::AtOnce)[0], lines[0]);
        }
    }
}

fn version_1(protocol: &str, client: SocketAddr, proxy: SocketAddr) -> Vec<u8> {
    let ports = (client.port(), proxy.port());
    format!("PROXY {protocol} {} {} {} {}\r\n", client.ip(), proxy.ip(), ports.0, ports.1).into_bytes()
}

fn version_2(client: SocketAddr, proxy: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [client.port().to_be_bytes(), proxy.port().to_be_bytes()].concat();
    let block = [octets(client), octets(proxy), ports].concat();
    let family = if client.is_ipv4() { 0x11 } else { 0x21 };
    let length = u8::try_from(block.len()).expect("a short block");
    [SIGNATURE, &[0x21, family, 0, length], &block].concat()
}
