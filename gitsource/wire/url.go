package wire

import (
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

type scheme string

const (
	schemeHTTPS scheme = "https"
	schemeHTTP  scheme = "http"
	schemeSSH   scheme = "ssh"
	schemeFile  scheme = "file"
)

// endpoint is a repository's address, parsed once.
type endpoint struct {
	scheme   scheme
	user     string
	password plumbline.SecretValue
	host     string // with the port, if one is given
	path     string // of a file: absolute
}

// scpLike is git's short form of an ssh address: user@host:path.
var scpLike = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):([^:].*)$`)

const opParse = "parse repository URL"

// parse reads an address. What is not https, ssh, file or a path is refused:
// Git's helpers (ext::, transport::address) run programs.
func parse(raw string) (endpoint, error) {
	switch {
	case raw == "":
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "no URL: set source.url or --repo")
	case strings.ContainsAny(raw, "\x00\r\n"):
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "the URL holds a line break")
	case filepath.IsAbs(raw) || strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") || raw == ".":
		return parsePath(raw)
	}
	if m := scpLike.FindStringSubmatch(raw); m != nil && !strings.Contains(raw, "://") {
		return checkHost(endpoint{scheme: schemeSSH, user: m[1], host: m[2], path: m[3]})
	}
	u, err := url.Parse(raw)
	if err != nil { // the error quotes the URL, which may hold a password
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "not a URL: write https://HOST/PATH, ssh://USER@HOST/PATH or file:///PATH")
	}
	e := endpoint{scheme: scheme(u.Scheme), host: u.Host, path: u.Path}
	switch {
	case u.Fragment != "":
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "the URL holds a #: name a branch in source.branch or --branch, and write %%23 in a path")
	case u.RawQuery != "" && (e.scheme == schemeFile || e.scheme == schemeSSH):
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "the URL holds a ?: write %%3F in a path")
	}
	if u.User != nil {
		e.user = u.User.Username()
		p, _ := u.User.Password()
		e.password = plumbline.NewSecretValue(p)
	}
	switch e.scheme {
	case schemeFile:
		if u.Host != "" && u.Host != "localhost" {
			return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "file URL with a host: write file:///PATH")
		}
		return parsePath(u.Path)
	case schemeHTTPS, schemeHTTP, schemeSSH:
		return checkHost(e)
	}
	if u.Scheme == "" {
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "%q has no scheme: write https://HOST/PATH or ssh://USER@HOST/PATH; a directory begins with / or ./", u.Path)
	}
	return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "scheme %q is not supported: use https, ssh or file", u.Scheme)
}

func parsePath(p string) (endpoint, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "%w", err)
	}
	return endpoint{scheme: schemeFile, path: abs}, nil
}

// checkHost refuses what a program that is given the parts could take for an
// option, and credentials in the clear.
func checkHost(e endpoint) (endpoint, error) {
	switch {
	case e.host == "" || strings.HasPrefix(e.host, "-") || strings.HasPrefix(e.user, "-"):
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "%s URL without a host", e.scheme)
	case strings.Trim(e.path, "/") == "":
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "%s names no repository", e)
	case strings.HasPrefix(e.path, "-"):
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "%s names no repository", e)
	case e.scheme == schemeHTTP && (e.user != "" || e.password.Reveal() != "") && !e.loopback():
		return endpoint{}, plumbline.Errorf(plumbline.KindUsage, opParse, "%s would send credentials in the clear: use https", e)
	}
	return e, nil
}

func (e endpoint) loopback() bool {
	host := e.hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hostname is the host without port and brackets.
func (e endpoint) hostname() string { return (&url.URL{Host: e.host}).Hostname() }

// address is host:port, with the port that is usual where none is given.
func (e endpoint) address(port string) string {
	u := url.URL{Host: e.host}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// String is the URL without credentials. The user of an ssh URL is part of the
// address and stays.
func (e endpoint) String() string {
	u := url.URL{Scheme: string(e.scheme), Host: e.host, Path: e.path}
	if e.scheme == schemeSSH {
		if e.user != "" {
			u.User = url.User(e.user)
		}
		if !strings.HasPrefix(u.Path, "/") {
			u.Path = "/" + u.Path
		}
	}
	return u.String()
}
