package keyservice

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"path"
)

// Address is where a key service listens. The zero value is none.
type Address struct {
	network string // "unix" or "tcp"
	address string // a full path, or host:port
}

func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	return a.network + "://" + a.address
}

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, by ParseAddress.
func (a *Address) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAddress(string(text))
	return err
}

var errAddress = errors.New("write unix:///run/sops/keyservice.sock, or tcp://127.0.0.1:5000")

// ParseAddress reads unix:///full/path or tcp://host:port, as sops takes them.
// A host has to be of the loopback interface: the protocol is not encrypted,
// and data keys go over it.
func ParseAddress(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Address{}, errAddress
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || !path.IsAbs(u.Path) || path.Clean(u.Path) != u.Path || u.Path == "/" {
			return Address{}, errAddress
		}
		return Address{"unix", u.Path}, nil
	case "tcp":
		host, port := u.Hostname(), u.Port()
		if host == "" || port == "" || u.Path != "" {
			return Address{}, errAddress
		}
		ip, err := netip.ParseAddr(host)
		if host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return Address{}, errors.New("data keys would go over the network in plain text: run sops keyservice beside Plumbline, and name unix:///run/sops/keyservice.sock or tcp://127.0.0.1:5000")
		}
		return Address{"tcp", net.JoinHostPort(host, port)}, nil
	}
	return Address{}, errAddress
}
