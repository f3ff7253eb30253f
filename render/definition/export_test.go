package definition

// Habits are the fields that people look for in the wrong place.
func Habits() map[string]map[string]string { return habits() }

// ParseObserved is Parse, and tells observe of the keys that each mapping may
// have and of each that it has.
func ParseObserved(text []byte, observe func(form Form, what string, known []string, key string)) *Document {
	return parse(text, &reader{observe: observe})
}
