package uringnet

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

func isTCP(network string) bool { return network == "tcp" || network == "tcp4" || network == "tcp6" }

// lookup returns the addresses that a text stands for, at least one: *net.TCPAddr or
// *net.UnixAddr.
func lookup(ctx context.Context, r *net.Resolver, network, address string) ([]net.Addr, error) {
	switch network {
	case "unix", "unixpacket":
		return []net.Addr{&net.UnixAddr{Name: address, Net: network}}, nil
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	ips, port, err := lookupIP(ctx, r, network, address)
	if err != nil {
		return nil, err
	}
	addrs := make([]net.Addr, 0, len(ips))
	for _, ip := range ips {
		addrs = append(addrs, &net.TCPAddr{IP: ip.IP, Port: port, Zone: ip.Zone})
	}
	return addrs, nil
}

// lookupIP returns the IP addresses and the port of host:port, for a network that ends with
// the version of the addresses. No host is a nil IP.
func lookupIP(ctx context.Context, r *net.Resolver, network, address string) ([]net.IPAddr, int, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	version, port := network[len(network)-1], 0
	number, err := strconv.ParseUint(service, 10, 16)
	if port = int(number); err != nil && service != "" {
		port, err = lookupPort(ctx, r, network, service)
		if err != nil {
			return nil, 0, err
		}
	}
	if host == "" {
		return []net.IPAddr{{}}, port, nil
	}
	ips, err := lookupHost(ctx, r, host)
	if err != nil {
		return nil, 0, err
	}
	ips = ofVersion(version, ips)
	if len(ips) == 0 {
		return nil, 0, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return ips, port, nil
}

func ofVersion(version byte, ips []net.IPAddr) (kept []net.IPAddr) {
	for _, ip := range ips {
		if four := ip.IP.To4() != nil; version == '4' && !four || version == '6' && four {
			continue
		}
		kept = append(kept, ip)
	}
	return kept
}

// lookupHost returns the addresses of a host. The resolver blocks.
func lookupHost(ctx context.Context, r *net.Resolver, host string) (ips []net.IPAddr, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []net.IPAddr{{IP: a.AsSlice(), Zone: a.Zone()}}, nil
	}
	uringwake.Blocking(ctx, func() { ips, err = r.LookupIPAddr(wake.WithParker(ctx, nil), host) })
	return ips, err
}

func lookupPort(ctx context.Context, r *net.Resolver, network, service string) (port int, err error) {
	uringwake.Blocking(ctx, func() { port, err = r.LookupPort(wake.WithParker(ctx, nil), network, service) })
	return port, err
}
