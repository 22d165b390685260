// Package wire carries calls to Matomo's HTTP API and brings back answers or typed errors.
//
// It keeps the rules that every call shares: what is secret travels in the POST body, the token first; module, method,
// format and filter_limit in the URL; a refused token or password is not sent again until it changes; reads wait once
// when Matomo asks to, writes are sent once; no redirect is followed; an answer that is cut off, or not what the method
// answers, is an error and never an empty result. It knows nothing about people and access.
package wire
