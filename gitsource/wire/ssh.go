package wire

import (
	"context"

	"github.com/plumbline-dev/plumbline"
)

func (r *Remote) openSSH(context.Context, Service) (*Session, error) {
	return nil, plumbline.Errorf(plumbline.KindUsage, "open", "ssh is not in this version: use https")
}
