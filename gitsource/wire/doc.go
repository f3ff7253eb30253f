// Package wire speaks Git's pack protocol to a repository elsewhere: it lists
// the references, fetches a pack and pushes one, over https, ssh or from a
// directory of this machine.
//
// A session is one conversation. It ends with its context or with Close, and
// with it the connection and every goroutine; nothing is kept between sessions,
// and files with credentials are read again for each. Errors are
// *plumbline.Error with a Kind, in one line that says what to do; credentials
// are never in them.
//
// The package runs no program, no hook and no credential helper, and follows
// redirects on one host only.
package wire
