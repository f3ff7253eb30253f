// Package odb is Git's object database as Plumbline needs it: packs go in,
// commits, trees and blobs come out. A Store lies in a bare repository on disk
// that real git can read too, or wraps the repository that a person works in.
//
// Packs are received whole, checked and indexed before a reference may name
// what is in them, so a process that is killed leaves at most files that the
// next Open removes. What is read is bounded in size, and Release gives the
// memory and the file descriptors back until the next read.
//
// The package speaks to no network, writes no work tree and runs nothing.
package odb
