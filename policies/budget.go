package policies

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// BudgetWindow is the rolling time over which deletes are counted.
const BudgetWindow = 24 * time.Hour

// maxPercentServices bounds a limit given in percent. Who wants to lose more
// services a day than this says so with a number.
const maxPercentServices = 10

// Budget bounds what prune may delete from one environment within
// BudgetWindow. The zero value allows nothing.
type Budget struct {
	Services Limit `json:"services"`
	Objects  int   `json:"objects"` // objects that belong to no service
}

// DefaultBudget is 10 % of the services, at least 1 and at most 10, and 5
// objects that belong to no service.
func DefaultBudget() Budget { return Budget{Services: Limit{percent: 10}, Objects: 5} }

// Limit is a number of services, or a share of them. The zero value is 0.
type Limit struct{ percent, count int }

// ParseLimit reads "10%" or "25".
func ParseLimit(s string) (Limit, error) {
	digits, isPercent := strings.CutSuffix(strings.TrimSpace(s), "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil || n < 0 || n > math.MaxInt32:
		return Limit{}, fmt.Errorf("%q is neither a whole number nor a percentage like \"10%%\"", s)
	case isPercent && (n == 0 || n > 100):
		return Limit{}, fmt.Errorf("%q is not between 1%% and 100%%; write 0 to delete no service", s)
	case isPercent:
		return Limit{percent: n}, nil
	}
	return Limit{count: n}, nil
}

// Of is the limit for an environment of total services: the number itself, or
// the share rounded down, at least 1 and at most 10.
func (l Limit) Of(total int) int {
	if l.percent == 0 {
		return l.count
	}
	return max(1, min(total*l.percent/100, maxPercentServices))
}

// String is the form that ParseLimit reads.
func (l Limit) String() string {
	if l.percent > 0 {
		return strconv.Itoa(l.percent) + "%"
	}
	return strconv.Itoa(l.count)
}

// MarshalText implements encoding.TextMarshaler.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Limit) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLimit(string(text))
	return err
}
