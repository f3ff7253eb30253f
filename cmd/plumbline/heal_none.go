//go:build plumbline_noheal

package main

import "github.com/plumbline-dev/plumbline"

// mayHeal takes healing out, for the test that wants to see the demo fail.
func mayHeal(plumbline.Ref) bool { return false }
