// Package gitea reports commit statuses to Gitea and to forges with its API,
// such as Forgejo.
//
// In go statuses, out come errors that say which right is missing or when to
// try again. A status that equals the newest of its key is not sent. The token
// and the certificate authority are read from their files at each call, so a
// rotated token counts at once; neither is in any error. Redirects are not
// followed, so no credential reaches another address.
package gitea
