package gitsource

import "time"

// Interval is the time until the next poll: base ±20 %, by rnd in [0, 1), so
// that many pollers of one server spread out.
func Interval(base time.Duration, rnd float64) time.Duration {
	return time.Duration(float64(base) * (0.8 + 0.4*min(max(rnd, 0), 1)))
}
