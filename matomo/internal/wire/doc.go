// Package wire carries calls to Matomo's HTTP API and brings back answers or
// typed errors. It knows nothing about people and access.
//
// The rules of every request, each from a measured trap:
//
//   - module, method, format and filter_limit travel in the URL. Without
//     filter_limit=-1 lists are cut to 100 entries without a word, and without
//     the rest errors that happen early are HTML pages.
//   - Everything secret travels in the POST body, the token first: PHP drops
//     parameters after the thousandth. Matomo ignores Authorization headers.
//   - A bulk request has at most 100 members, and at most 20 that cost a
//     password hash. Members run in order and go on after a failure. They
//     inherit the parameters of the outer request, so the password is sent
//     there, once, and only when a member needs it.
//   - Matomo before 5 decodes members once more. What such a decoding would
//     change is sent as a request of its own.
//   - A refused token or password is not sent again until it changes: twenty
//     wrong ones lock the bridge's address out of Matomo for an hour.
//   - Reads wait once when Matomo asks to, writes are sent once. No redirect is
//     followed.
//   - An answer that is cut off, or is not what the method answers, is an error
//     and never an empty result (I1).
//
// Errors are told apart by their kind. A kind says whether the failure is the
// instance's or one person's, whether it mends itself, and whether Matomo may
// have done what was asked all the same.
package wire
