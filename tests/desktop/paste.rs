//! What is pasted into the window.

use lapse_tests::Window;

const SIDES: (u32, u32) = (37, 23);

/// A picture of which no two pixels are alike; some of it can be seen through.
fn pixels() -> Vec<u8> {
    (0..SIDES.0 * SIDES.1)
        .flat_map(|n| [n % 256, n / 4 % 256, 255 - n % 256, if n % 3 == 0 { 255 } else { n % 200 }])
        .map(|part| u8::try_from(part).unwrap())
        .collect()
}

fn picture() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDES.0, SIDES.1);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(&pixels()).unwrap();
    file
}

#[test]
fn pictures_and_files_on_the_clipboard_are_shared_by_pasting_them() {
    let window = Window::new();
    window.wait_for("Drop a file.");
    window.copy_elsewhere("UTF8_STRING", b"only words");
    window.keys(&["ctrl+v"]);
    window.wait_for("There is no file or picture on the clipboard");

    window.copy_elsewhere("image/png", &picture());
    window.keys(&["ctrl+v"]);
    let answer = window.copied_link().get();
    let name = answer.name().unwrap();
    let stamp = name.strip_prefix("Picture ").and_then(|name| name.strip_suffix(".png"));
    assert!(stamp.is_some(), "{name}");
    assert_eq!(answer.header("content-type"), Some("image/png"));
    let mut reader = png::Decoder::new(std::io::Cursor::new(&answer.body)).read_info().unwrap();
    let mut got = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut got).unwrap();
    assert_eq!(
        (info.width, info.height, info.color_type),
        (SIDES.0, SIDES.1, png::ColorType::Rgba)
    );
    assert!(got == pixels(), "other pixels came");

    let files = ["one.txt", "zwei & drei.txt"].map(|name| window.lapse.file(name, name));
    let folder = window.lapse.folder("files");
    let list =
        format!("file://{0}/one.txt\r\nfile://{0}/zwei%20%26%20drei.txt\r\n", folder.display());
    window.copy_elsewhere("text/uri-list", list.as_bytes());
    window.keys(&["ctrl+v"]);
    let links = window.copied_links(2, &[]);
    for (link, file) in links.iter().zip(&files) {
        let name = file.file_name().unwrap().to_str().unwrap();
        link.get().assert_gives(name.as_bytes(), name);
    }
}
