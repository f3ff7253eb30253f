package policies

import (
	"strings"
	"testing"
	"time"
)

func window(t *testing.T, mode WindowMode, schedule, duration, zone string) Window {
	t.Helper()
	w, err := ParseWindow(WindowSpec{Schedule: schedule, Duration: duration, Timezone: zone, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOpen(t *testing.T) {
	t.Parallel()
	berlin := window(t, WindowAllow, "0 9 * * 1-5", "8h", "Europe/Berlin")
	lunch := window(t, WindowDeny, "0 12 * * *", "1h", "Europe/Berlin")
	night := window(t, WindowDeny, "30 2 * * *", "1h", "Europe/Berlin")
	nightNY := window(t, WindowAllow, "30 2 * * *", "1h", "America/New_York")
	always := window(t, WindowAllow, "* * * * *", "8h", "")
	backToBack := window(t, WindowAllow, "0 * * * *", "1h", "")
	freeze := window(t, WindowDeny, "0 0 1 12 *", "744h", "")
	tests := map[string]struct {
		windows []Window
		now     string // UTC
		open    bool
		change  string // UTC; empty: not in sight
		why     string
	}{
		"none":                                 {nil, "2026-06-01T12:00Z", true, "", ""},
		"monday noon":                          {[]Window{berlin}, "2026-06-01T10:00Z", true, "2026-06-01T15:00Z", `window open, closes 2026-06-01T15:00Z (allow window "0 9 * * 1-5" for 8h Europe/Berlin)`},
		"at the very start":                    {[]Window{berlin}, "2026-06-01T07:00Z", true, "2026-06-01T15:00Z", "open"},
		"at the very end":                      {[]Window{berlin}, "2026-06-01T15:00Z", false, "2026-06-02T07:00Z", "window closed, opens 2026-06-02T07:00Z"},
		"over the weekend":                     {[]Window{berlin}, "2026-06-06T10:00Z", false, "2026-06-08T07:00Z", "closed"},
		"winter is an hour later":              {[]Window{berlin}, "2026-12-01T07:30Z", false, "2026-12-01T08:00Z", "closed"},
		"deny wins":                            {[]Window{berlin, lunch}, "2026-06-01T10:30Z", false, "2026-06-01T11:00Z", "deny window"},
		"deny splits":                          {[]Window{berlin, lunch}, "2026-06-01T09:00Z", true, "2026-06-01T10:00Z", "allow window"},
		"deny alone leaves the rest open":      {[]Window{lunch}, "2026-06-01T09:00Z", true, "2026-06-01T10:00Z", "window open, closes"},
		"the end of deny is not an opening":    {[]Window{berlin, lunch}, "2026-06-06T10:30Z", false, "2026-06-08T07:00Z", "closed"},
		"a month of freeze":                    {[]Window{freeze}, "2026-12-31T23:59Z", false, "2027-01-01T00:00Z", "deny window"},
		"every minute never closes":            {[]Window{always}, "2026-06-01T12:00Z", true, "", "window open (allow"},
		"back to back never closes":            {[]Window{backToBack}, "2026-06-01T12:59Z", true, "", "open"},
		"back to back through the autumn hour": {[]Window{window(t, WindowAllow, "0 * * * *", "1h", "Europe/Berlin")}, "2026-10-25T00:30Z", true, "", "open"},

		// Berlin 2026-03-29: 02:00 CET is 03:00 CEST, at 01:00Z.
		"spring: before the gap":           {[]Window{night}, "2026-03-29T00:59Z", true, "2026-03-29T01:00Z", "open"},
		"spring: the start is in the gap":  {[]Window{night}, "2026-03-29T01:30Z", false, "2026-03-29T02:00Z", "closed"},
		"spring: over":                     {[]Window{night}, "2026-03-29T02:00Z", true, "2026-03-30T00:30Z", "open"},
		"spring in New York":               {[]Window{nightNY}, "2026-03-08T07:10Z", true, "2026-03-08T08:00Z", "open"},
		"spring in New York: before":       {[]Window{nightNY}, "2026-03-08T06:59Z", false, "2026-03-08T07:00Z", "closed"},
		"autumn: the first half past two":  {[]Window{night}, "2026-10-25T00:45Z", false, "2026-10-25T02:30Z", "closed"},
		"autumn: the second half past two": {[]Window{night}, "2026-10-25T01:45Z", false, "2026-10-25T02:30Z", "closed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, err := time.Parse("2006-01-02T15:04Z", tt.now)
			if err != nil {
				t.Fatal(err)
			}
			open, until, why := Open(tt.windows, now)
			change := ""
			if !until.IsZero() {
				change = until.Format("2006-01-02T15:04Z")
			}
			if open != tt.open || change != tt.change {
				t.Errorf("open %v until %q, want %v until %q", open, change, tt.open, tt.change)
			}
			if !strings.Contains(why, tt.why) || (tt.why == "") != (why == "") {
				t.Errorf("why %q, want %q", why, tt.why)
			}
		})
	}
}

// A window is open from a start for its duration: asked minute by minute over
// both changes of the clock, Open agrees with the starts themselves.
func TestOpenAgreesWithItsStarts(t *testing.T) {
	t.Parallel()
	w := window(t, WindowAllow, "15 1-4 * * *", "40m", "Europe/Berlin")
	for _, day := range []time.Time{time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC)} {
		var starts []time.Time
		for s := w.next(day.Add(-24 * time.Hour)); s.Before(day.Add(24 * time.Hour)); s = w.next(s) {
			starts = append(starts, s)
		}
		for now := day; now.Before(day.Add(12 * time.Hour)); now = now.Add(time.Minute) {
			want := false
			for _, s := range starts {
				want = want || (!now.Before(s) && now.Before(s.Add(40*time.Minute)))
			}
			open, until, _ := Open([]Window{w}, now)
			if open != want {
				t.Fatalf("%s: open %v, want %v (starts %v)", now, open, want, starts)
			}
			if before, _, _ := Open([]Window{w}, until.Add(-time.Second)); before != open {
				t.Fatalf("%s: changes before %s", now, until)
			}
			if at, _, _ := Open([]Window{w}, until); at == open {
				t.Fatalf("%s: does not change at %s", now, until)
			}
		}
	}
}

func TestParseWindowErrors(t *testing.T) {
	t.Parallel()
	good := WindowSpec{Schedule: "0 9 * * 1-5", Duration: "8h", Timezone: "Europe/Berlin", Mode: WindowAllow}
	tests := map[string]struct {
		change func(*WindowSpec)
		want   string
	}{
		"unit":            {func(s *WindowSpec) { s.Duration = "1h60x" }, `duration: "1h60x" is not a duration`},
		"negative":        {func(s *WindowSpec) { s.Duration = "-1h" }, "duration: -1h is shorter than 1m"},
		"zero":            {func(s *WindowSpec) { s.Duration = "0s" }, "shorter than 1m"},
		"empty":           {func(s *WindowSpec) { s.Duration = "" }, `"" is not a duration`},
		"huge":            {func(s *WindowSpec) { s.Duration = "10000h" }, "longer than 744h"},
		"overflow":        {func(s *WindowSpec) { s.Duration = "9999999999999h" }, "is not a duration"},
		"zone":            {func(s *WindowSpec) { s.Timezone = "Mars/Olympus" }, `timezone: "Mars/Olympus" is not a time zone`},
		"machine's zone":  {func(s *WindowSpec) { s.Timezone = "Local" }, "timezone"},
		"zone as a path":  {func(s *WindowSpec) { s.Timezone = "../etc/passwd" }, "timezone"},
		"four fields":     {func(s *WindowSpec) { s.Schedule = "0 9 * *" }, "schedule"},
		"six fields":      {func(s *WindowSpec) { s.Schedule = "0 0 9 * * *" }, "schedule"},
		"out of range":    {func(s *WindowSpec) { s.Schedule = "0 25 * * *" }, "schedule"},
		"a word":          {func(s *WindowSpec) { s.Schedule = "@every 1h" }, "schedule"},
		"zone in front":   {func(s *WindowSpec) { s.Schedule = "TZ=UTC 0 9 * * *" }, "belongs in timezone"},
		"zone and no end": {func(s *WindowSpec) { s.Schedule = "TZ=0" }, "belongs in timezone"},
		"never":           {func(s *WindowSpec) { s.Schedule = "0 0 30 2 *" }, "never happens"},
		"mode":            {func(s *WindowSpec) { s.Mode = "maybe" }, "mode"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := good
			tt.change(&spec)
			if _, err := ParseWindow(spec); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzParseWindow: a window is refused by the name of its field, or it opens and
// closes: what Open says holds until the change that it names, and no longer.
func FuzzParseWindow(f *testing.F) {
	spring, autumn := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC).Unix(), time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).Unix()
	f.Add("0 9 * * 1-5", "8h", "Europe/Berlin", noon.Unix())
	f.Add("*/0 * * * *", "1h60x", "", noon.Unix())
	f.Add("30 2 * * *", "1h", "Europe/Berlin", spring)
	f.Add("30 2 * * *", "1h", "Europe/Berlin", autumn)
	f.Add("59 23 31 12 *", "744h", "Australia/Lord_Howe", autumn)
	f.Add("0 0 29 2 *", "24h", "Asia/Kathmandu", int64(0))
	f.Add("* * * * *", "1m", "", int64(-1))
	f.Add("0 0 30 2 *", "-1h", "../../etc/passwd", noon.Unix())
	f.Add("@every 1s", "9999999999h", "Local", noon.Unix())
	f.Add("TZ=Mars 0 0 * * *", "1h", "UTC", noon.Unix())
	f.Fuzz(func(t *testing.T, schedule, duration, zone string, seconds int64) {
		w, err := ParseWindow(WindowSpec{Schedule: schedule, Duration: duration, Timezone: zone, Mode: WindowAllow})
		if err != nil {
			if field, _, _ := strings.Cut(err.Error(), ":"); field != "schedule" && field != "duration" && field != "timezone" {
				t.Errorf("the error names no field: %v", err)
			}
			return
		}
		now := time.Unix(seconds%(1<<32), 0).UTC()
		open, until, why := Open([]Window{w}, now)
		if why == "" || until.IsZero() {
			return
		}
		if !until.After(now) {
			t.Fatalf("at %s: until %s", now, until)
		}
		if before, _, _ := Open([]Window{w}, until.Add(-time.Nanosecond)); before != open {
			t.Errorf("at %s: open %v, and no longer just before %s", now, open, until)
		}
		if at, _, _ := Open([]Window{w}, until); at == open {
			t.Errorf("at %s: open %v, and still at %s", now, open, until)
		}
	})
}

func BenchmarkOpenWorstCase(b *testing.B) {
	w, err := ParseWindow(WindowSpec{Schedule: "* * * * *", Duration: "744h", Timezone: "Europe/Berlin", Mode: WindowAllow})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Open([]Window{w}, noon)
	}
}
