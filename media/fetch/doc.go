// Package fetch gets the pictures, sounds and videos that parts of messages only name: as a data: URL, as the bytes of a file, and, where
// its options allow, by http or in a folder. A model then reads them.
//
//	message := chat.Message{Role: "user", Parts: []chat.Part{{Type: "image", URL: "data:image/png;base64,…"}}}
//	if err := fetch.Message(ctx, &message, fetch.Options{}); err != nil {
//		return err
//	}
//
// [File] makes a part of a file on one's own disk, by what it contains.
//
// What a message names may be anybody's. Sizes are limited before anything is decoded, over all parts of a message together; nothing is
// fetched from elsewhere unless that is allowed, and then only from public addresses: the one that is dialled is checked, not the name,
// which may lead to another each time that it is looked up.
package fetch
