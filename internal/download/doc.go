// Package download brings files from URLs to paths: whole, checked, and from where an earlier call has stopped.
//
// Until a file is complete it grows beside its path, in PATH.part. Which of its bytes are there, and what they are bytes of, is kept in
// PATH.part.ranges, written a second at most after the bytes themselves and never before they are on the disk; a process that is at work
// holds a lock on it, which ends with the process. So whatever happens at whatever moment, the next call goes on, and only a file whose
// size and hash are right gets its name.
//
// Large files come in several ranges at once, the first ones first, so that their hash is known almost when the last byte is there. Hashes
// are made of what the disk gives back, not of what the network gave.
//
// Nothing that a server says is taken on trust: bytes go on from where they stopped only under a status of 206 with the very range that
// was asked for, in a file of the expected size, and without a hash only under the same strong ETag. Where that cannot be had, the file
// starts anew.
package download
