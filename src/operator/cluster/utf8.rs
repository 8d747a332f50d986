//! Answers of the API server as UTF-8, which they are but for the managed fields: those it passes on byte by byte, as
//! somebody sent them.
//!
//! The client library ends a list or a watch at the first byte that is no UTF-8, so one object would hide all others.
//! JSON's own signs are ASCII, so nothing but a text changes when such bytes are replaced.

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use kube::client::DynBody;

/// In the place of each byte that is no UTF-8: the length of a body stays as it was announced.
const REPLACEMENT: u8 = b'?';

pub fn replaced(answer: Response<Box<DynBody>>) -> Response<Box<DynBody>> {
    answer.map(|body| {
        let mut text = Text::default();
        let body = body.map_frame(move |frame| frame.map_data(|data| text.next(data)));
        Box::new(body) as Box<DynBody>
    })
}

#[derive(Default)]
struct Text {
    /// The beginning of a character whose end has not come yet: three bytes at most.
    begun: Vec<u8>,
}

impl Text {
    /// The next part of the body, up to the last character that is whole.
    fn next(&mut self, data: Bytes) -> Bytes {
        if self.begun.is_empty() && str::from_utf8(&data).is_ok() {
            return data;
        }
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(&data);
        let mut read = 0;
        while let Err(error) = str::from_utf8(&bytes[read..]) {
            read += error.valid_up_to();
            let Some(length) = error.error_len() else {
                self.begun = bytes.split_off(read);
                break;
            };
            bytes[read..read + length].fill(REPLACEMENT);
            read += length;
        }
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http::Request;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use kube::api::{Api, ListParams};
    use kube::client::{Body, ClientBuilder};
    use rstest::rstest;
    use tower::util::MapResponseLayer;
    use tower::{BoxError, service_fn};

    use super::*;
    use crate::operator::cluster::watched_objects::Watched;
    use crate::operator::kind::Kind;

    fn in_parts(parts: &[&[u8]]) -> Vec<u8> {
        let mut text = Text::default();
        let read = parts
            .iter()
            .flat_map(|part| text.next(Bytes::copy_from_slice(part)));
        read.collect()
    }

    #[rstest]
    #[case::text("a é € 😀 z".as_bytes(), "a é € 😀 z")]
    #[case::never_a_byte(b"a\xff\xfez", "a??z")]
    #[case::broken_off(b"\xf0\x9f\x98z\xe2\x82\xc3\xa9", "???z??\u{e9}")]
    #[case::surrogate(b"\xed\xa0\x80z", "???z")]
    fn bytes_that_are_no_utf8_are_replaced_wherever_a_body_is_split(
        #[case] body: &[u8],
        #[case] text: &str,
    ) {
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let parts = [&body[..first], &body[first..second], &body[second..]];
                assert_eq!(in_parts(&parts), text.as_bytes(), "{parts:?}");
            }
        }
        let bytes: Vec<_> = body.chunks(1).collect();
        assert_eq!(in_parts(&bytes), text.as_bytes());
    }

    #[tokio::test]
    async fn a_list_is_read_with_an_object_of_any_bytes_in_it() {
        let list = b"{\"kind\": \"L\", \"apiVersion\": \"v1\", \"metadata\": {}, \"items\": [\
            {\"metadata\": {\"name\": \"sound\"}}, \
            {\"metadata\": {\"name\": \"odd\", \"managedFields\": [{\"fieldsV1\": {\"f:\xff\xc3\": {}}}]}}]}";
        let answer = |_: Request<Body>| async {
            let parts = list
                .chunks(7)
                .map(|part| Ok::<_, BoxError>(Frame::data(Bytes::from(part))));
            let body: Box<DynBody> = Box::new(StreamBody::new(stream::iter(parts)));
            Ok::<_, Infallible>(Response::new(body))
        };
        let client = ClientBuilder::new(service_fn(answer), "default")
            .with_layer(&MapResponseLayer::new(replaced))
            .build();
        let api: Api<Watched> = Api::all_with(client, &Kind::ConfigMap.api_resource());
        let names = api.list(&ListParams::default()).await.unwrap().items;
        let names: Vec<_> = names.iter().map(|o| o.metadata.name.as_deref()).collect();
        assert_eq!(names, [Some("sound"), Some("odd")]);
    }
}
