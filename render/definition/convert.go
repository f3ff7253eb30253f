package definition

import "errors"

// Convert gives Space Cloud documents their plumbline.dev/v1 form.
func Convert(doc []byte) ([]byte, error) { return nil, errors.New("not yet") }
