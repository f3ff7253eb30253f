package render_test

import (
	"os"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render"
)

func TestShop(t *testing.T) {
	r, err := render.New(render.Options{Environment: "production"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Render(t.Context(), os.DirFS("../fixtures/shop"), "environments/production")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range plumbline.Errors(res.Violations) {
		t.Error(v)
	}
	if len(res.Services) != 8 {
		t.Errorf("%d services, want 8", len(res.Services))
	}
}
