package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
)

const canary = "hunter2-canary"

var (
	secret    = plumbline.Ref{Kind: "Secret", Namespace: "shop", Name: "token"}
	configMap = plumbline.Ref{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
)

func refusal(code int32, reason metav1.StatusReason, causes ...metav1.StatusCause) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: "refused: " + canary,
		Details: &metav1.StatusDetails{Causes: causes},
	}}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		op   string
		err  error
		kind plumbline.Kind
		is   error
	}{
		{"credentials", "apply", refusal(http.StatusUnauthorized, metav1.StatusReasonUnauthorized), plumbline.KindDenied, nil},
		{"rights", "apply", refusal(http.StatusForbidden, metav1.StatusReasonForbidden), plumbline.KindDenied, nil},
		{"a namespace on its way out", "apply", refusal(http.StatusForbidden, metav1.StatusReasonForbidden, metav1.StatusCause{Type: "NamespaceTerminating"}), plumbline.KindWaiting, nil},
		{"no namespace", "apply", refusal(http.StatusNotFound, metav1.StatusReasonNotFound), plumbline.KindWaiting, ErrNotFound},
		{"no object", "read", refusal(http.StatusNotFound, metav1.StatusReasonNotFound), plumbline.KindTransient, ErrNotFound},
		{"another resourceVersion", "apply", refusal(http.StatusConflict, metav1.StatusReasonConflict), plumbline.KindTransient, ErrConflict},
		{"another owner", "apply", refusal(http.StatusConflict, metav1.StatusReasonConflict, metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.a"}), plumbline.KindDenied, nil},
		{"another uid", "apply", refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, metav1.StatusCause{Field: "metadata.uid"}), plumbline.KindTransient, ErrConflict},
		{"invalid", "apply", refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, metav1.StatusCause{Type: "FieldValueInvalid", Field: "data"}), plumbline.KindInvalid, nil},
		{"a body that cannot be read", "apply", refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest), plumbline.KindInvalid, nil},
		{"an unknown field", "apply", &apierrors.StatusError{ErrStatus: metav1.Status{
			Code: http.StatusInternalServerError, Message: "failed to create typed patch object (shop/settings; /v1, Kind=ConfigMap): ." + canary + ": field not declared in schema",
		}}, plumbline.KindInvalid, nil},
		{"busy", "apply", refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests), plumbline.KindTransient, nil},
		{"broken", "apply", refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError), plumbline.KindTransient, nil},
		{"no answer", "apply", fmt.Errorf("read tcp: %s", canary), plumbline.KindTransient, nil},
	} {
		err := Classify(c.op, configMap, c.err)
		if got := plumbline.KindOf(err); got != c.kind {
			t.Errorf("%s: %v, want %v", c.name, got, c.kind)
		}
		for _, mark := range []error{ErrConflict, ErrNotFound} {
			if errors.Is(err, mark) != (c.is == mark) { //nolint:errorlint // the mark itself is meant
				t.Errorf("%s: is %v: %v", c.name, mark, errors.Is(err, mark))
			}
		}
		if got := Classify(c.op, secret, c.err).Error(); strings.Contains(got, canary) {
			t.Errorf("%s: the error of a Secret says %q", c.name, got)
		}
	}
	var owned *OwnedError
	err := Classify("apply", secret, refusal(http.StatusConflict, metav1.StatusReasonConflict,
		metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.b"},
		metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.a"},
		metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.a"}))
	if !errors.As(err, &owned) {
		t.Fatalf("%v does not name the fields", err)
	}
	if diff := cmp.Diff([]string{".data.a", ".data.b"}, owned.Fields); diff != "" {
		t.Error(diff)
	}
	if Classify("apply", secret, nil) != nil {
		t.Error("no error became one")
	}
}

func TestClassifyKeepsTheDelay(t *testing.T) {
	t.Parallel()
	busy := apierrors.NewTooManyRequests("wait", 7)
	var e *plumbline.Error
	if !errors.As(Classify("apply", configMap, busy), &e) || e.After != 7*time.Second {
		t.Errorf("after %v", e)
	}
}

func TestRequestBody(t *testing.T) {
	t.Parallel()
	body := plumbline.NewBody([]byte(`{"apiVersion":"v1","data":{"n":1.0,"html":"<a>&"},"kind":"ConfigMap","metadata":{"labels":{"x":"y"},"name":"settings"}}`))
	for _, c := range []struct {
		id   Identity
		want string
	}{
		{Identity{Installation: "i"}, `{"apiVersion":"v1","data":{"n":1.0,"html":"<a>&"},"kind":"ConfigMap","metadata":{"labels":{"plumbline.dev/installation":"i","x":"y"},"name":"settings"}}`},
		{Identity{Installation: "i", UID: "u", ResourceVersion: "7"}, `{"apiVersion":"v1","data":{"n":1.0,"html":"<a>&"},"kind":"ConfigMap","metadata":{"labels":{"plumbline.dev/installation":"i","x":"y"},"name":"settings","resourceVersion":"7","uid":"u"}}`},
	} {
		got, err := RequestBody(body, c.id)
		if err != nil || strings.TrimSpace(string(got)) != c.want {
			t.Errorf("%s, %v\nwant %s", got, err, c.want)
		}
	}
	nested := `{"apiVersion":"v1","data":{"metadata":"{\"name\":\"no\"}"},"kind":"ConfigMap","metadata":{"name":"yes"},"z":[{"metadata":{}}]}`
	want := strings.Replace(nested, `{"name":"yes"}`, `{"labels":{"plumbline.dev/installation":"i"},"name":"yes"}`, 1)
	if got, err := RequestBody(plumbline.NewBody([]byte(nested)), Identity{Installation: "i"}); err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	for _, bad := range []string{canary, ``, `{`, `{"metadata":`, `{"metadata":{"a"}}`, `{"metadata":{"a":}}`, `{"a":"\`, `{"metadata":{"labels":null}}`, `{"kind":"Secret"}`, `{"metadata":{"labels":{"a":{}}}}`, `{"metadata":[]}`, `[]`} {
		_, err := RequestBody(plumbline.NewBody([]byte(bad)), Identity{})
		if plumbline.KindOf(err) != plumbline.KindInternal || strings.Contains(fmt.Sprint(err), canary) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestReleaseBody(t *testing.T) {
	t.Parallel()
	got := string(ReleaseBody(plumbline.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, "v1", "u"))
	if want := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","uid":"u"}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDisownBody(t *testing.T) {
	t.Parallel()
	got := string(DisownBody("7", []Disown{{Index: 1}, {Index: 3, Left: `{"f:a":{}}`}, {Index: 2}}))
	want := `[{"op":"test","path":"/metadata/resourceVersion","value":"7"},` +
		`{"op":"replace","path":"/metadata/managedFields/3/fieldsV1","value":{"f:a":{}}},` +
		`{"op":"remove","path":"/metadata/managedFields/2"},{"op":"remove","path":"/metadata/managedFields/1"}]`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// FuzzRequestBody holds RequestBody to what decoding, adding and encoding gives.
func FuzzRequestBody(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"labels":{"x":"y"},"name":"settings","uid":"before"}}`,
		`{"a":["]",{"b":"\\\""}],"metadata":{"annotations":{"k":"},"},"name":"n"},"z":1.5}`,
		`{"kind":"Secret","metadata":{"generation":1,"labels":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := RequestBody(plumbline.NewBody(raw), Identity{Installation: "i", UID: "u", ResourceVersion: "7"})
		var want map[string]any
		if json.Unmarshal(raw, &want) != nil || err != nil {
			return
		}
		if canonical, err := json.Marshal(want); err != nil || !bytes.Equal(raw, canonical) {
			return // no rendered body
		}
		metadata := want["metadata"].(map[string]any) //nolint:forcetypeassert // else there is an error
		labels, ok := metadata["labels"].(map[string]any)
		if !ok {
			labels = map[string]any{}
		}
		labels[plumbline.LabelInstallation] = "i"
		metadata["labels"], metadata["uid"], metadata["resourceVersion"] = labels, "u", "7"
		is, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(is) != string(got) {
			t.Errorf("%s became\n%s, want\n%s", raw, got, is)
		}
	})
}

// BenchmarkRequestBody prepares one Knative Service.
func BenchmarkRequestBody(b *testing.B) {
	spec := map[string]any{}
	for i := range 40 {
		spec[fmt.Sprintf("field%d", i)] = strings.Repeat("x", 40)
	}
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": spec,
		"metadata": map[string]any{"name": "cart-v1", "namespace": "shop", "labels": map[string]string{"a": "b", "c": "d"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	body := plumbline.NewBody(raw)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RequestBody(body, Identity{Installation: "i", UID: "u", ResourceVersion: "7"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "requests/op")
}
