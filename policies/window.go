package policies

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// WindowMode says what happens while a window is open.
type WindowMode string

// The modes. Where there is an allow window, writes happen inside one only; a
// deny window wins over every allow window.
const (
	WindowAllow WindowMode = "allow"
	WindowDeny  WindowMode = "deny"
)

// maxWindow is the longest window: a freeze of a month.
const maxWindow = 31 * 24 * time.Hour

// WindowSpec is a window as the operator writes it.
type WindowSpec struct {
	Schedule string // cron, five fields: when it opens
	Duration string // Go duration, 1m to 744h
	Timezone string // IANA name; empty: UTC
	Mode     WindowMode
}

// Window is a stretch of time that begins again and again. Starts follow the
// clock on the wall: one that falls into the hour that is skipped in spring
// happens when the skip ends, one in the hour that is repeated in autumn
// happens twice. Its length is real time.
type Window struct {
	spec     WindowSpec
	schedule *cron.SpecSchedule // in the window's location
	duration time.Duration
}

// ParseWindow checks a window. The error names the field.
func ParseWindow(spec WindowSpec) (Window, error) {
	if spec.Mode != WindowAllow && spec.Mode != WindowDeny {
		return Window{}, fmt.Errorf("mode: %q is neither \"allow\" nor \"deny\"", spec.Mode)
	}
	duration, err := parseWindowDuration(spec.Duration)
	if err != nil {
		return Window{}, fmt.Errorf("duration: %w", err)
	}
	loc, err := parseTimezone(spec.Timezone)
	if err != nil {
		return Window{}, fmt.Errorf("timezone: %w", err)
	}
	schedule, err := parseSchedule(spec.Schedule)
	if err != nil {
		return Window{}, fmt.Errorf("schedule: %w", err)
	}
	schedule.Location = loc
	return Window{spec: spec, schedule: schedule, duration: duration}, nil
}

// String is how messages name the window.
func (w Window) String() string {
	return fmt.Sprintf("%s window %q for %s %s", w.spec.Mode, w.spec.Schedule, w.spec.Duration, w.schedule.Location)
}

func parseWindowDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration like 8h or 1h30m", s)
	case d < time.Minute:
		return 0, fmt.Errorf("%s is shorter than 1m", s)
	case d > maxWindow:
		return 0, fmt.Errorf("%s is longer than %dh", s, maxWindow/time.Hour)
	}
	return d, nil
}

func parseTimezone(s string) (*time.Location, error) {
	if s == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(s)
	if err != nil || loc == time.Local {
		return nil, fmt.Errorf("%q is not a time zone like Europe/Berlin", s)
	}
	return loc, nil
}

func parseSchedule(s string) (*cron.SpecSchedule, error) {
	// The parser also takes a zone in front of the fields, and trips over some.
	if strings.Contains(s, "TZ=") {
		return nil, fmt.Errorf("%q: the time zone belongs in timezone", s)
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := parser.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not five cron fields (minute hour day month weekday): %w", s, err)
	}
	schedule, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q has no fixed times", s)
	}
	schedule.Location = time.UTC
	// Any year tells, because Next looks five years ahead.
	if schedule.Next(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q never happens", s)
	}
	return schedule, nil
}

// next is the first start after t, zero when there is none in five years.
func (w Window) next(t time.Time) time.Time {
	t = t.In(w.schedule.Location)
	start := w.schedule.Next(t)
	for {
		_, shift := t.ZoneBounds()
		if shift.IsZero() || (!start.IsZero() && !shift.Before(start)) || shift.Sub(t) > 5*366*24*time.Hour {
			return start
		}
		if w.inGap(shift) {
			return shift
		}
		t = shift
	}
}

// inGap tells whether the clock jumps over a start at shift. The schedule
// itself never returns such a start: there is no such time on that day.
func (w Window) inGap(shift time.Time) bool {
	from, to := wall(shift.Add(-time.Nanosecond)), wall(shift)
	naive := *w.schedule
	naive.Location = time.UTC
	start := naive.Next(from)
	return !start.IsZero() && start.Before(to)
}

// wall is what the clock on the wall shows, as if it were UTC.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// last is the newest start whose window covers t, zero when none does. It
// looks back in growing steps, so that a schedule of every minute is not
// walked for a month.
func (w Window) last(t time.Time) time.Time {
	for back := time.Minute; ; back *= 2 {
		back = min(back, w.duration)
		start := w.next(t.Add(-back))
		if !start.IsZero() && !start.After(t) {
			for following := w.next(start); !following.IsZero() && !following.After(t); following = w.next(start) {
				start = following
			}
			return start
		}
		if back == w.duration {
			return time.Time{}
		}
	}
}

// maxWindowSteps bounds the search for the next change: windows that follow
// each other without a gap may never have one.
const maxWindowSteps = 500

// Open decides whether ws allow writes at now, and until when that holds: zero
// when no change is in sight. why is a sentence for a status, empty where there
// are no windows; then it is always open.
func Open(ws []Window, now time.Time) (open bool, until time.Time, why string) {
	if len(ws) == 0 {
		return true, time.Time{}, ""
	}
	open, by := openAt(ws, now)
	t := now
	for range maxWindowSteps {
		t = nextEvent(ws, t)
		if t.IsZero() {
			break
		}
		if after, _ := openAt(ws, t); after != open {
			until = t.UTC()
			break
		}
	}
	return open, until, sentence(open, until, by)
}

// openAt is the state at t and the window that decides it, if one does.
func openAt(ws []Window, t time.Time) (open bool, by string) {
	allows := 0
	for _, w := range ws {
		active := !w.last(t).IsZero()
		switch {
		case active && w.spec.Mode == WindowDeny:
			return false, w.String()
		case active && !open:
			open, by = true, w.String()
		}
		if w.spec.Mode == WindowAllow {
			allows++
		}
	}
	if allows == 0 {
		return true, ""
	}
	return open, by
}

// nextEvent is the first time after t at which any window opens or closes.
func nextEvent(ws []Window, t time.Time) time.Time {
	var first time.Time
	for _, w := range ws {
		event := w.next(t)
		if start := w.last(t); !start.IsZero() {
			event = start.Add(w.duration)
		}
		if !event.IsZero() && (first.IsZero() || event.Before(first)) {
			first = event
		}
	}
	return first
}

func sentence(open bool, until time.Time, by string) string {
	verb, state := "closes", "window open"
	if !open {
		verb, state = "opens", "window closed"
	}
	if !until.IsZero() {
		state += ", " + verb + " " + until.Format("2006-01-02T15:04Z")
	}
	if by != "" {
		state += " (" + by + ")"
	}
	return state
}
