package plumbline

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// SecretValue holds a value that must not leave the process except inside a
// request body. However it is printed, logged or encoded it reads
// "[redacted]"; Reveal is the one way out, and easy to search for.
type SecretValue struct {
	// A pointer, because fmt cannot call the methods of a field that is not
	// exported: it prints what is in there, and of a pointer the address.
	value *string
}

// NewSecretValue wraps v.
func NewSecretValue(v string) SecretValue { return SecretValue{&v} }

// Reveal returns the value itself.
func (s SecretValue) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Format implements fmt.Formatter for every verb and flag.
func (s SecretValue) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer.
func (s SecretValue) String() string { return redacted }

// MarshalText implements encoding.TextMarshaler, and with it JSON and YAML.
func (s SecretValue) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s SecretValue) LogValue() slog.Value { return slog.StringValue(redacted) }

// Body is an object encoded as JSON. A body may hold the data of a Secret, so
// like SecretValue it never prints itself; the bytes are for request bodies,
// and for `plumbline render`, which redacts them.
type Body struct {
	json **[]byte // as in SecretValue; of a pointer to bytes fmt may print those
}

// NewBody wraps the JSON encoding of one object. The bytes are not copied and
// must not be changed afterwards.
func NewBody(json []byte) Body {
	p := &json
	return Body{&p}
}

// Reveal returns the JSON itself, not to be changed.
func (b Body) Reveal() []byte {
	if b.json == nil {
		return nil
	}
	return **b.json
}

// Len is the length of the encoding in bytes.
func (b Body) Len() int { return len(b.Reveal()) }

// Format implements fmt.Formatter for every verb and flag.
func (b Body) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, b.String()) }

// String implements fmt.Stringer.
func (b Body) String() string { return fmt.Sprintf("[%d bytes]", b.Len()) }

// MarshalText implements encoding.TextMarshaler, and with it JSON and YAML.
func (b Body) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// LogValue implements slog.LogValuer.
func (b Body) LogValue() slog.Value { return slog.StringValue(b.String()) }
