package definition

// ParseObserved is Parse, and tells observe of the keys that each mapping may
// have and of each that it has.
func ParseObserved(text []byte, observe func(form Form, what string, known []string, key string)) *Document {
	return parse(text, &reader{observe: observe})
}
