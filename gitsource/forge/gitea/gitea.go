package gitea

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
)

const (
	defaultTimeout = 30 * time.Second
	// pageSize is what Gitea gives at most, as it comes.
	pageSize = 50
	// maxPages of statuses of one commit are read: forges take 1,000.
	maxPages = 40
)

var (
	repository = regexp.MustCompile(`^([^/\s]+)/([^/\s]+)$`)
	commitHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// Options of New. URL, Repository, TokenFile and Now are required.
type Options struct {
	URL        string // of the forge, not of the repository: "https://git.example.com"
	Repository string // "owner/name"
	TokenFile  string // holds an access token with the scope write:repository
	CAFile     string // PEM; empty: the system's authorities
	Timeout    time.Duration
	UserAgent  string
	Now        func() time.Time
}

// Reporter writes and reads statuses. It is safe for concurrent use.
type Reporter struct {
	o           Options
	owner, name string
}

// New checks the options. It does no I/O.
func New(o Options) (*Reporter, error) {
	const op = "open forge"
	if err := CheckURL(o.URL); err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "forge.url: %w", err)
	}
	if err := CheckRepository(o.Repository); err != nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "forge.repository: %w", err)
	}
	if o.TokenFile == "" || o.Now == nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, op, "no forge.tokenFile or no clock")
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.UserAgent == "" {
		o.UserAgent = "plumbline"
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	owner, name, _ := strings.Cut(o.Repository, "/")
	return &Reporter{o: o, owner: owner, name: name}, nil
}

// CheckURL says what is wrong with the address of a forge.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("want the forge's address, like https://git.example.com")
	case u.User != nil:
		return errors.New("holds credentials; put the token into a file and name that in forge.tokenFile")
	}
	return nil
}

// CheckRepository says what is wrong with the name of a repository.
func CheckRepository(name string) error {
	if !repository.MatchString(name) {
		return fmt.Errorf("%q is not owner/name", name)
	}
	return nil
}

// Post writes the status, unless the newest of its key equals it. A commit that
// the repository does not have is forge.ErrUnknownSHA.
func (r *Reporter) Post(ctx context.Context, s plumbline.Status) error {
	op := fmt.Sprintf("post %s on %s", s.Context, plumbline.Commit{SHA: s.SHA}.Short())
	if !commitHash.MatchString(s.SHA) || s.Context == "" || s.State == "" {
		return plumbline.Errorf(plumbline.KindInvalid, op, "a status needs a whole commit hash, a context and a state")
	}
	s = stored(s)
	return r.do(ctx, op, func(c *call) error {
		newest, ok, err := c.last(s.Key())
		if err != nil || ok && newest.Equal(s) {
			return err
		}
		_, res, err := c.sdk.CreateStatus(r.owner, r.name, s.SHA, sdk.CreateStatusOption{
			State: sdk.StatusState(s.State), TargetURL: s.URL, Description: s.Description, Context: s.Context,
		})
		return c.check(res, err, rightWrite)
	})
}

// nowhere is a commit that no repository has.
const nowhere = "0000000000000000000000000000000000000000"

// MayPost tells whether statuses could be posted, by posting one where it cannot
// be kept: on a commit that is not there. The forge asks for token, scope and
// right first.
func (r *Reporter) MayPost(ctx context.Context) error {
	return r.do(ctx, "ask for the right to post statuses", func(c *call) error {
		_, res, err := c.sdk.CreateStatus(r.owner, r.name, nowhere, sdk.CreateStatusOption{
			State: sdk.StatusPending, Context: "plumbline/check",
		})
		// Gitea looks for the commit last, and answers 500 where there is none.
		if res != nil && res.Response != nil && res.StatusCode == http.StatusInternalServerError && isJSON(res) {
			return nil
		}
		err = c.check(res, err, rightWrite)
		if errors.Is(err, forge.ErrUnknownSHA) {
			return nil
		}
		return err
	})
}

// Last is the newest status of the key that the forge has. There is none on a
// commit that it does not know.
func (r *Reporter) Last(ctx context.Context, key plumbline.StatusKey) (s plumbline.Status, ok bool, err error) {
	op := fmt.Sprintf("read %s on %s", key.Context, plumbline.Commit{SHA: key.SHA}.Short())
	if !commitHash.MatchString(key.SHA) {
		return s, false, plumbline.Errorf(plumbline.KindInvalid, op, "that is no whole commit hash")
	}
	err = r.do(ctx, op, func(c *call) error {
		var err error
		s, ok, err = c.last(key)
		return err
	})
	return s, ok, err
}

// List is every status of a commit, oldest first.
func (r *Reporter) List(ctx context.Context, sha string) (list []plumbline.Status, err error) {
	op := "list statuses of " + plumbline.Commit{SHA: sha}.Short()
	if !commitHash.MatchString(sha) {
		return nil, plumbline.Errorf(plumbline.KindInvalid, op, "that is no whole commit hash")
	}
	err = r.do(ctx, op, func(c *call) error {
		var err error
		list, err = c.list(sha)
		return err
	})
	return list, err
}

// last looks at all statuses: they come by the second they were made in, which
// tells two of one second not apart, and their numbers do.
func (c *call) last(key plumbline.StatusKey) (plumbline.Status, bool, error) {
	all, err := c.list(key.SHA)
	if err != nil {
		return plumbline.Status{}, false, err
	}
	for _, s := range slices.Backward(all) {
		if s.Key() == key {
			return s, true, nil
		}
	}
	return plumbline.Status{}, false, nil
}

func (c *call) list(sha string) ([]plumbline.Status, error) {
	found := map[int64]*sdk.Status{} // a page may begin with what was on the one before
	for page := 1; page <= maxPages; page++ {
		o := sdk.ListStatusesOption{ListOptions: sdk.ListOptions{Page: page, PageSize: pageSize}}
		statuses, res, err := c.sdk.ListStatuses(c.r.owner, c.r.name, sha, o)
		if err := c.check(res, err, rightRead); err != nil {
			return nil, err
		}
		for _, s := range statuses {
			found[s.ID] = s
		}
		if len(statuses) == 0 || res.NextPage == 0 {
			break
		}
	}
	var out []plumbline.Status
	for _, s := range slices.SortedFunc(maps.Values(found), func(a, b *sdk.Status) int { return cmp.Compare(a.ID, b.ID) }) {
		out = append(out, plumbline.Status{
			SHA: sha, Context: s.Context, State: plumbline.StatusState(s.State),
			Description: s.Description, URL: s.TargetURL, Time: s.Created.UTC(),
		})
	}
	return out, nil
}

// stored is a status as it is read back.
func stored(s plumbline.Status) plumbline.Status {
	for _, text := range []*string{&s.Context, &s.Description, &s.URL} {
		*text = strings.TrimSpace(strings.ToValidUTF8(*text, "\uFFFD"))
	}
	return s
}
