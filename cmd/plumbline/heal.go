//go:build !plumbline_noheal

package main

import "github.com/plumbline-dev/plumbline"

// mayHeal lets every drifted object be healed. A test builds Plumbline without
// it, to see that the demo notices.
func mayHeal(plumbline.Ref) bool { return true }
