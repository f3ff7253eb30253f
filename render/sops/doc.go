// Package sops reads documents that SOPS encrypted
// (https://getsops.io/docs/).
//
// In go the encrypted documents of one file, parsed, and a way to open data
// keys; the documents' nodes get their plain values, in place and with their
// lines, or every problem is told with its own. The message authentication code
// is always verified. The package decrypts only, does no I/O, and no message of
// it holds a value.
//
// It is written anew, and not SOPS's own library, for three reasons. Whatever is
// imported of that, but for its key types, links the SDKs of five clouds (50 MB
// of binary), reads a file of the machine as it starts, and can run programs.
// Its messages quote what they could not read, and its documents have no lines.
// What is here is the small part that reads the format; TestRealSops in
// cmd/plumbline/internal/keyring holds it against the real sops.
package sops
