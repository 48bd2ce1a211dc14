//! What crosses, and who may call.

use tauri::test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder};
use tauri::webview::InvokeRequest;
use tauri::{WebviewUrl, WebviewWindow, WebviewWindowBuilder};
use ts_rs::TS;

use crate::wire;

/// Every type that crosses, as TypeScript.
fn bindings() -> String {
    let config = ts_rs::Config::default();
    let mut text = String::from("// Made from src-tauri/desktop/wire.rs by `make bindings`.\n");
    macro_rules! export {
        ($($type:ty),* $(,)?) => {
            $(text.push_str(&format!("\nexport {}\n", <$type as TS>::decl(&config)));)*
        };
    }
    export!(
        wire::Failure,
        wire::State,
        wire::Reach,
        wire::Share,
        wire::Link,
        wire::Copied,
        wire::Revoked,
        wire::AllLinks,
        wire::NewKey,
        wire::Admin,
        wire::Checked,
        wire::Folder,
        wire::FolderState,
        wire::FailedFile,
        wire::FolderChoice,
        wire::RotationStep,
        wire::AllRevoked,
        wire::Progress,
        wire::Change,
        wire::Tray,
        wire::Recent,
        wire::Screen,
        wire::Quit,
        wire::Provider,
        wire::Draft,
        wire::SignIn,
        wire::Profile,
        wire::Finding,
        wire::Store,
        wire::Interface,
        wire::Keychain,
        wire::Preferences,
        wire::Start,
    );
    text
}

#[test]
fn bindings_of_the_page_are_those_of_the_shell() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/src/bindings.ts");
    if std::env::var_os("LAPSE_WRITE_BINDINGS").is_some() {
        std::fs::write(path, bindings()).expect("bindings written");
    }
    let kept = std::fs::read_to_string(path).expect("ui/src/bindings.ts");
    assert_eq!(kept, bindings(), "ui/src/bindings.ts is stale: run `make bindings`");
}

#[tauri::command]
fn providers() -> &'static str {
    "called"
}

fn call(window: &WebviewWindow<MockRuntime>, command: &str) -> Result<String, String> {
    let request = InvokeRequest {
        cmd: command.into(),
        callback: tauri::ipc::CallbackFn(0),
        error: tauri::ipc::CallbackFn(1),
        url: if cfg!(windows) { "http://tauri.localhost" } else { "tauri://localhost" }
            .parse()
            .expect("an address"),
        body: tauri::ipc::InvokeBody::default(),
        headers: tauri::http::HeaderMap::default(),
        invoke_key: INVOKE_KEY.to_owned(),
    };
    get_ipc_response(window, request)
        .map(|body| body.deserialize().expect("a string"))
        .map_err(|error| error.to_string())
}

#[test]
fn only_the_main_window_may_call() {
    let app = mock_builder()
        .invoke_handler(tauri::generate_handler![providers])
        .build(tauri::generate_context!(test = true))
        .expect("an app with Lapse's own capabilities");
    let window = |label: &str| {
        WebviewWindowBuilder::new(&app, label, WebviewUrl::default()).build().expect("a window")
    };
    let (main, foreign) = (window("main"), window("foreign"));
    assert_eq!(call(&main, "providers"), Ok("called".to_owned()));
    let refused = call(&foreign, "providers").expect_err("it isn't named in a capability");
    assert!(refused.contains("not allowed"), "{refused}");
}
