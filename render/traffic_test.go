package render

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPercent: percents add up to 100, and none is a whole one away from its
// exact share.
func TestPercent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 1000), 1, 12).Draw(t, "weights")
		total, sum := 0, 0
		for _, w := range weights {
			total += w
		}
		if total == 0 {
			return
		}
		for i, p := range percent(weights) {
			sum += p
			if off := p*total - weights[i]*100; off <= -total || off >= total {
				t.Errorf("weight %d of %d is %d %%", weights[i], total, p)
			}
			if weights[i] == 0 && p != 0 {
				t.Errorf("weight 0 is %d %%", p)
			}
		}
		if sum != 100 {
			t.Errorf("%v adds up to %d", percent(weights), sum)
		}
	})
}
