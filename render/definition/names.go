package definition

import (
	"strings"
)

// Limits of names, in bytes.
const (
	maxLabel     = 63
	maxSubdomain = 253
	// maxJoined leaves room for "-internal" in a Service's name, and for the
	// number that Knative adds to a Revision's.
	maxJoined = maxLabel - len("-internal")
)

// Join is the name of the objects of one version of a service.
func Join(id, version string) string { return id + "-" + Slug(version) }

// Slug is a version as a part of a name: "1.2.3" is "1-2-3", "V2_b" is "v2-b".
func Slug(version string) string {
	var b strings.Builder
	for i := range len(version) {
		switch c := lower(version[i]); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			b.WriteByte(c)
		case c == '.', c == '_', c == '-', c == '+':
			b.WriteByte('-')
		default:
			b.WriteByte(c) // not for a name: IsLabel refuses it
		}
	}
	return b.String()
}

// IsLabel tells whether s is a DNS-1123 label.
func IsLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// isService tells whether s is a DNS-1035 label, as a Service's name must be.
func isService(s string) bool { return IsLabel(s) && s[0] >= 'a' }

// isSubdomain tells whether s is a DNS-1123 subdomain, as most names must be.
func isSubdomain(s string) bool {
	if s == "" || len(s) > maxSubdomain {
		return false
	}
	for _, part := range strings.Split(s, ".") {
		if len(part) > maxLabel {
			return false
		}
		if !IsLabel(part) {
			return false
		}
	}
	return true
}

// IsSystemNamespace tells whether a namespace belongs to the cluster itself.
func IsSystemNamespace(s string) bool {
	switch s {
	case "istio-system", "knative-serving", "knative-eventing", "plumbline-system":
		return true
	}
	return strings.HasPrefix(s, "kube-")
}

// isDataKey tells whether s can be a key of a Secret's or ConfigMap's data.
func isDataKey(s string) bool {
	if s == "" || len(s) > maxSubdomain || s == "." || strings.HasPrefix(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// isLabelName tells whether s is the name part of a label, or a label's value
// that is not empty.
func isLabelName(s string) bool {
	if s == "" || len(s) > maxLabel || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isLabelKey(s string) bool {
	prefix, name, found := strings.Cut(s, "/")
	if !found {
		return isLabelName(s)
	}
	return isSubdomain(prefix) && isLabelName(name)
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isPortName tells whether s is an IANA service name.
func isPortName(s string) bool {
	if !IsLabel(s) || len(s) > 15 || strings.Contains(s, "--") {
		return false
	}
	return strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyz")
}

// isImage tells whether s looks like an image reference: what a registry is
// sure to refuse is refused here, with a line.
func isImage(s string) bool {
	repository, digest, _ := strings.Cut(s, "@")
	if digest != "" && !strings.Contains(digest, ":") {
		return false
	}
	tail := repository[strings.LastIndexByte(repository, '/')+1:]
	name, tag, tagged := strings.Cut(tail, ":")
	if name == "" || tagged && !isTag(tag) {
		return false
	}
	path := strings.TrimSuffix(repository, ":"+tag)
	if len(path) < 2 || len(path) > 255 {
		return false
	}
	for i, part := range strings.Split(path, "/") {
		host := i == 0 && strings.Contains(path, "/")
		if part == "" || !isImagePart(part, host) {
			return false
		}
	}
	return true
}

func isTag(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '_' && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func isImagePart(s string, host bool) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		case host && ('A' <= c && c <= 'Z' || c == ':' || c == '[' || c == ']'):
		default:
			return false
		}
	}
	return true
}
