package config

import "testing"

// An environment's word on KEDA counts before that of the whole.
func TestHasKEDA(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		all, want bool
		one       *bool
	}{
		{all: true, want: true},
		{all: true, one: &no},
		{one: &yes, want: true},
		{},
	} {
		if got := (Config{KEDA: c.all}).HasKEDA(Environment{KEDA: c.one}); got != c.want {
			t.Errorf("%t, and in the environment %v: %t", c.all, c.one, got)
		}
	}
}
